// What was asked for on the command line, as the spec of a batch.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/submission.h"
#include "config/known.h"
#include "queue/brake.h"
#include "tasks/glossary.h"
#include "tasks/routing.h"
#include "tasks/task.h"

namespace docmill {
namespace {

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> words;
  std::size_t start = 0;
  while (start <= list.size()) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    words.emplace_back(trimmed(std::string_view(list).substr(start, comma - start)));
    start = comma + 1;
  }
  return words;
}

void check_model(const std::string& key, const Config& config) {
  if (config.models.contains(key)) return;
  std::vector<std::string> keys;
  for (const auto& [known, model] : config.models) keys.push_back(known);
  const auto near = nearest(key, keys);
  throw UsageError(fmt::format("the config has no model \"{}\"; {}", key,
                               near ? fmt::format("did you mean \"{}\"?", *near)
                                    : fmt::format("it has {}", fmt::join(keys, ", "))));
}

Chain chain_of(const SubmitFlags& flags, const BatchSpec& spec, const Config& config) {
  Chain chain;
  const auto task = config.tasks.find(spec.task);
  if (!flags.models.empty()) {
    for (std::string& key : split_list(flags.models)) chain.emplace_back(std::move(key));
  } else if (!flags.route.empty()) {
    const auto route = config.routes.find(flags.route);
    if (route == config.routes.end()) {
      throw UsageError(fmt::format("--route: the config has no [routes.{}]", flags.route));
    }
    chain = route->second;
  } else if (task != config.tasks.end() && task->second.chain) {
    chain = *task->second.chain;
  } else if (!config.default_chain.empty()) {
    chain = config.default_chain;
  } else if (config.models.size() == 1) {
    chain.emplace_back(config.models.begin()->first);
  } else {
    throw UsageError("which model? Give --models A,B, or [defaults] chain in the config");
  }
  std::set<std::string> distinct;
  for (const Link& link : chain) {
    check_model(link.model, config);
    distinct.insert(link.model);
  }
  if (distinct.size() != chain.size()) throw UsageError("--models: a model stands there twice");
  return chain;
}

void add_routes(const SubmitFlags& flags, const Config& config, BatchSpec& spec) {
  const Chain chain =
      within_regions(chain_of(flags, spec, config), spec.regions, config.providers, config.models);
  if (chain.empty()) {
    throw UsageError(fmt::format(
        "--regions {}: no model of the chain is there; [providers.NAME] region says where one is",
        flags.regions));
  }
  spec.routes.push_back({flags.route.empty() ? "default" : flags.route, chain});
  // Records and rules may name a route; those of the config come along, in the order of their
  // names.
  for (const auto& [name, full] : config.routes) {
    Chain within = within_regions(full, spec.regions, config.providers, config.models);
    if (name != flags.route && !within.empty()) spec.routes.push_back({name, std::move(within)});
  }
}

// A file that the user named and that cannot be read is the user's to mend.
std::string file_of_flag(const std::string& flag, const std::string& path) {
  try {
    return read_named_file(path, 1 << 20);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", flag, error.what()));
  }
}

std::string text_or_file(const std::string& flag, const std::string& value) {
  if (!value.starts_with('@')) return value;
  return std::string(trimmed(file_of_flag(flag, value.substr(1))));
}

// Their bodies are OpenAI's, and what they ask for is in them.
void check_for_requests(const BatchSpec& spec, const Config& config) {
  if (spec.parameters.contains("instructions")) {
    throw UsageError("--instructions: requests are sent as they are");
  }
  for (const Route& route : spec.routes) {
    for (const Link& link : route.chain) {
      const Model& model = config.models.at(link.model);
      if (config.providers.at(model.provider).dialect != Dialect::openai) {
        throw UsageError(fmt::format(
            "requests are in OpenAI's dialect, and {} is not asked in it; give other --models",
            link.model));
      }
    }
  }
}

}  // namespace

std::string default_batch_name(const SubmitFlags& flags, const BatchSpec& spec) {
  if (!flags.batch.empty()) return flags.batch;
  std::string name = spec.task;
  if (!flags.to.empty()) name += "-" + lower_ascii(flags.to);
  const std::string& input = flags.inputs.front();
  if (input == "-") return name + "-" + iso_time(SystemClock().now_ms());
  const fs::path path = fs::absolute(input).lexically_normal();
  const fs::path named = path.has_filename() ? path : path.parent_path();
  const bool is_folder = fs::is_directory(named);
  return name + "-" + (is_folder ? named.filename() : named.stem()).string();
}

std::string trial_batch(const std::string& trial, const std::string& what) {
  return fmt::format("trial/{}/{}", trial, what);
}

BatchSpec spec_of(const SubmitFlags& flags, const Config& config) {
  if (config.models.empty()) {
    throw UsageError(
        fmt::format("no model is configured: docmill init --provider NAME writes a docmill.toml; "
                    "or set one of {}",
                    fmt::join(known_key_variables(), ", ")));
  }
  TaskParameters parameters;
  parameters.to = flags.to;
  parameters.from = flags.from;
  parameters.instructions = text_or_file("--instructions", flags.instructions);
  if (!flags.schema.empty() && !flags.fields.empty()) {
    throw UsageError("--schema and --fields are two ways to say one thing; give one");
  }
  if (!flags.schema.empty()) {
    parameters.schema_text = text_or_file("--schema", "@" + flags.schema);
  } else if (!flags.fields.empty()) {
    parameters.schema_text = schema_of_fields(flags.fields);
  }
  if (!flags.glossary.empty()) {
    parameters.glossary = glossary_prompt(file_of_flag("--glossary", flags.glossary));
  }
  const auto named = config.tasks.find(flags.task == "summarize" ? "summarise" : flags.task);
  const bool is_own = named != config.tasks.end() && named->second.own;
  BatchSpec spec = make_spec(flags.task, parameters, is_own ? &*named->second.own : nullptr);
  const auto task = config.tasks.find(spec.task);
  if (task != config.tasks.end() && task->second.max_output_tokens) {
    spec.max_output_tokens = *task->second.max_output_tokens;
  }
  if (!flags.brake.empty()) {
    const auto percent = parse_brake(flags.brake);
    if (!percent) {
      throw UsageError(fmt::format("--brake: \"{}\" is neither a share such as 50% nor off",
                                   printable_line(flags.brake)));
    }
    spec.brake = *percent == 0 ? "off" : fmt::format("{}%", *percent);
  }
  if (!flags.regions.empty()) {
    spec.regions = split_list(lower_ascii(flags.regions));
    std::sort(spec.regions.begin(), spec.regions.end());
  }
  add_routes(flags, config, spec);
  if (spec.kind == TaskKind::requests) check_for_requests(spec, config);
  return spec;
}

}  // namespace docmill
