#include "tasks/batch_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::json;

const char* name_of(TaskKind kind) {
  switch (kind) {
    case TaskKind::summarise:
      return "summarise";
    case TaskKind::translate:
      return "translate";
    case TaskKind::requests:
      return "requests";
    case TaskKind::extract:
      return "extract";
  }
  return "";
}

TaskKind kind_named(const std::string& name) {
  for (const TaskKind kind :
       {TaskKind::summarise, TaskKind::translate, TaskKind::extract, TaskKind::requests}) {
    if (name == name_of(kind)) return kind;
  }
  throw WorldError("the store has a batch of an unknown kind: " + name);
}

json json_of(const Link& link) {
  if (!link.max_latency_ms && !link.max_wait_ms) return link.model;
  json value = {{"model", link.model}};
  if (link.max_latency_ms) value["max_latency_ms"] = *link.max_latency_ms;
  if (link.max_wait_ms) value["max_wait_ms"] = *link.max_wait_ms;
  return value;
}

Link link_of(const json& value) {
  if (value.is_string()) return Link(value.get<std::string>());
  Link link(value.at("model").get<std::string>());
  if (const auto ms = value.find("max_latency_ms"); ms != value.end()) {
    link.max_latency_ms = ms->get<std::int64_t>();
  }
  if (const auto ms = value.find("max_wait_ms"); ms != value.end()) {
    link.max_wait_ms = ms->get<std::int64_t>();
  }
  return link;
}

// The route of that name, or null.
const Route* route_named(const BatchSpec& spec, const std::string& name) {
  for (const Route& route : spec.routes) {
    if (route.name == name) return &route;
  }
  return nullptr;
}

}  // namespace

std::string chain_text(const Chain& chain) {
  std::string text;
  for (const Link& link : chain) {
    text += (text.empty() ? "" : " > ") + link.model;
    if (link.max_latency_ms) text += fmt::format(" (max_latency {} ms)", *link.max_latency_ms);
    if (link.max_wait_ms) text += fmt::format(" (max_wait {} ms)", *link.max_wait_ms);
  }
  return text;
}

std::string to_json_text(const BatchSpec& spec) {
  json value;
  value["task"] = spec.task;
  value["kind"] = name_of(spec.kind);
  value["parameters"] = spec.parameters;
  value["system"] = spec.system;
  if (!spec.prompt.empty()) value["prompt"] = spec.prompt;
  value["json_schema"] = spec.json_schema;
  value["max_output_tokens"] = spec.max_output_tokens;
  value["brake"] = spec.brake;
  value["regions"] = spec.regions;
  value["routes"] = json::array();
  for (const Route& route : spec.routes) {
    json chain = json::array();
    for (const Link& link : route.chain) chain.push_back(json_of(link));
    value["routes"].push_back({{"name", route.name}, {"chain", std::move(chain)}});
  }
  return to_text(value);
}

BatchSpec parse_batch_spec(const std::string& text) {
  try {
    const json value = json::parse(text);
    BatchSpec spec;
    spec.task = value.at("task").get<std::string>();
    spec.kind = kind_named(value.at("kind").get<std::string>());
    spec.parameters = value.at("parameters").get<std::map<std::string, std::string>>();
    spec.system = value.at("system").get<std::string>();
    spec.prompt = value.value("prompt", std::string());
    spec.json_schema = value.at("json_schema").get<std::string>();
    spec.max_output_tokens = value.at("max_output_tokens").get<std::int64_t>();
    spec.brake = value.at("brake").get<std::string>();
    spec.regions = value.at("regions").get<std::vector<std::string>>();
    for (const json& route : value.at("routes")) {
      Chain chain;
      for (const json& link : route.at("chain")) chain.push_back(link_of(link));
      spec.routes.push_back({route.at("name").get<std::string>(), std::move(chain)});
    }
    return spec;
  } catch (const json::exception& error) {
    throw WorldError(fmt::format("the store has a batch that cannot be read: {}", error.what()));
  }
}

std::string difference(const BatchSpec& was, const BatchSpec& wanted) {
  if (was.task != wanted.task) {
    return fmt::format("its task is {}, not {}", was.task, wanted.task);
  }
  std::map<std::string, std::string> names = was.parameters;
  names.insert(wanted.parameters.begin(), wanted.parameters.end());
  for (const auto& [name, unused] : names) {
    const auto old_value = was.parameters.find(name);
    const auto new_value = wanted.parameters.find(name);
    const std::string old_text = old_value == was.parameters.end() ? "" : old_value->second;
    const std::string new_text = new_value == wanted.parameters.end() ? "" : new_value->second;
    if (old_text != new_text) {
      return fmt::format("--{} was \"{}\", not \"{}\"", name, old_text, new_text);
    }
  }
  if (was.json_schema != wanted.json_schema) return "its schema is another";
  if (was.system != wanted.system || was.prompt != wanted.prompt) return "its prompt is another";
  if (was.max_output_tokens != wanted.max_output_tokens) {
    return fmt::format("its max_output_tokens is {}, not {}", was.max_output_tokens,
                       wanted.max_output_tokens);
  }
  if (was.brake != wanted.brake) {
    return fmt::format("its brake is {}, not {}", was.brake, wanted.brake);
  }
  if (was.regions != wanted.regions) {
    return fmt::format("its --regions was \"{}\", not \"{}\"", fmt::join(was.regions, ","),
                       fmt::join(wanted.regions, ","));
  }
  if (was.routes.front().name != wanted.routes.front().name) {
    return fmt::format("its route is {}, not {}", was.routes.front().name,
                       wanted.routes.front().name);
  }
  for (const Route& route : wanted.routes) {
    const Route* old_route = route_named(was, route.name);
    if (old_route != nullptr && old_route->chain != route.chain) {
      return fmt::format("its chain is {}, not {}", chain_text(old_route->chain),
                         chain_text(route.chain));
    }
  }
  return {};
}

}  // namespace docmill
