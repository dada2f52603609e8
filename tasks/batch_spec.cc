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
    case TaskKind::extract:
      return "extract";
  }
  return "";
}

TaskKind kind_named(const std::string& name) {
  for (const TaskKind kind : {TaskKind::summarise, TaskKind::translate, TaskKind::extract}) {
    if (name == name_of(kind)) return kind;
  }
  throw WorldError("the store has a batch of an unknown kind: " + name);
}

// The route of that name, or null.
const Route* route_named(const BatchSpec& spec, const std::string& name) {
  for (const Route& route : spec.routes) {
    if (route.name == name) return &route;
  }
  return nullptr;
}

}  // namespace

std::string to_json_text(const BatchSpec& spec) {
  json value;
  value["task"] = spec.task;
  value["kind"] = name_of(spec.kind);
  value["parameters"] = spec.parameters;
  value["system"] = spec.system;
  value["json_schema"] = spec.json_schema;
  value["max_output_tokens"] = spec.max_output_tokens;
  value["brake"] = spec.brake;
  value["regions"] = spec.regions;
  value["routes"] = json::array();
  for (const Route& route : spec.routes) {
    value["routes"].push_back({{"name", route.name}, {"chain", route.chain}});
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
    spec.json_schema = value.at("json_schema").get<std::string>();
    spec.max_output_tokens = value.at("max_output_tokens").get<std::int64_t>();
    spec.brake = value.at("brake").get<std::string>();
    spec.regions = value.at("regions").get<std::vector<std::string>>();
    for (const json& route : value.at("routes")) {
      spec.routes.push_back(
          {route.at("name").get<std::string>(), route.at("chain").get<std::vector<std::string>>()});
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
  if (was.system != wanted.system) return "its prompt is another";
  if (was.max_output_tokens != wanted.max_output_tokens) {
    return fmt::format("its max_output_tokens is {}, not {}", was.max_output_tokens,
                       wanted.max_output_tokens);
  }
  if (was.routes.front().name != wanted.routes.front().name) {
    return fmt::format("its route is {}, not {}", was.routes.front().name,
                       wanted.routes.front().name);
  }
  for (const Route& route : wanted.routes) {
    const Route* old_route = route_named(was, route.name);
    if (old_route != nullptr && old_route->chain != route.chain) {
      return fmt::format("its chain is {}, not {}", fmt::join(old_route->chain, " > "),
                         fmt::join(route.chain, " > "));
    }
  }
  return {};
}

}  // namespace docmill
