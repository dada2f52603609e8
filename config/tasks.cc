// Chains, and what names one: [routes.NAME] and [tasks.NAME].

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "config/parts.h"
#include "documents/language.h"
#include "tasks/schema.h"
#include "tasks/task.h"

namespace docmill {
namespace {

constexpr std::size_t kLongestChain = 20;
constexpr std::int64_t kMaxSchemaBytes = 1 << 20;

const std::vector<std::string>& built_in_tasks() {
  static const std::vector<std::string> tasks = {"extract", "requests", "summarise", "translate"};
  return tasks;
}

// A model's key, or a table with the key and its limits.
Link read_link(const toml::node& node, const TomlTable& table) {
  if (const auto* text = node.as_string()) return Link(text->get());
  const std::uint32_t line = node.source().begin.line;
  const auto* link = node.as_table();
  if (link == nullptr) {
    table.file().fail(line,
                      "\"chain\" takes models, such as \"gpt-4.1\" or { model = \"gpt-4.1\", "
                      "max_latency = \"30s\" }");
  }
  TomlTable entry(*link, "an entry of \"chain\"", line, table.file());
  const std::optional<std::string> model = entry.text("model");
  const std::optional<std::int64_t> max_latency_ms = entry.duration_ms("max_latency", "1ms", "7d");
  const std::optional<std::int64_t> max_wait_ms = entry.duration_ms("max_wait", "1ms", "7d");
  entry.reject_unknown_keys();
  if (!model) entry.fail("an entry of \"chain\" needs model = \"NAME\"");
  Link named(*model);
  named.max_latency_ms = max_latency_ms;
  named.max_wait_ms = max_wait_ms;
  return named;
}

// "word", or ["word", "other"].
std::vector<std::string> one_or_more(TomlTable& table, const char* key) {
  const toml::node* node = table.node(key);
  if (node != nullptr && node->is_string()) return {table.text(key).value_or("")};
  return table.texts(key).value_or(std::vector<std::string>());
}

Rule read_rule(TomlTable& table, const std::map<std::string, Chain>& routes) {
  Rule rule;
  rule.matches = one_or_more(table, "matches");
  for (std::string& word : rule.matches) word = lower_ascii(word);
  rule.languages = one_or_more(table, "language");
  for (const std::string& code : rule.languages) {
    if (!is_language_code(code)) {
      table.fail("language", fmt::format("\"{}\" is no language's code, such as \"de\" or \"zh\"",
                                         printable_line(code)));
    }
  }
  rule.over_tokens = table.whole("over_tokens", 0, 1'000'000'000);
  rule.over_chars = table.whole("over_chars", 0, 1'000'000'000);
  const std::optional<std::string> route = table.text("route");
  table.reject_unknown_keys();
  if (!route) table.fail("an entry of \"rules\" needs route = \"NAME\"");
  if (routes.count(*route) == 0) {
    table.fail("route", unknown_name("route", *route, names_of(routes)));
  }
  rule.route = *route;
  return rule;
}

std::vector<Rule> read_rules(TomlTable& task, const std::map<std::string, Chain>& routes) {
  std::vector<Rule> rules;
  std::vector<TomlTable> tables = task.tables("rules");
  for (TomlTable& table : tables) rules.push_back(read_rule(table, routes));
  return rules;
}

std::string schema_text_of(TomlTable& task) {
  const toml::node* schema = task.node("schema");
  if (schema == nullptr) return {};
  if (const auto* table = schema->as_table()) {
    std::ostringstream text;
    text << toml::json_formatter{*table};
    return text.str();
  }
  if (!schema->is_string()) {
    task.fail("schema", "\"schema\" must be the path of a JSON Schema, or the schema as a table");
  }
  const std::filesystem::path path = task.file().resolved(schema->as_string()->get());
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    task.fail("schema", fmt::format("\"schema\": there is no file {}", path.string()));
  }
  try {
    return read_named_file(path, kMaxSchemaBytes);
  } catch (const UsageError& unreadable) {
    task.fail("schema", fmt::format("\"schema\": {}", unreadable.what()));
  }
}

// Prompts of the user's own. `kind` is by default that of the built-in task of this name.
std::optional<OwnTask> read_own_task(const std::string& name, TomlTable& task) {
  OwnTask own;
  const std::string usual = name == "translate" || name == "extract" ? name : "summarise";
  const std::string kind =
      task.one_of("kind", {"summarise", "translate", "extract"}).value_or(usual);
  own.kind = kind == "translate" ? TaskKind::translate
             : kind == "extract" ? TaskKind::extract
                                 : TaskKind::summarise;
  own.system = task.prose("system").value_or("");
  own.prompt = task.prose("prompt").value_or("");
  own.schema_text = schema_text_of(task);
  if (const std::string problem = own_task_problem(own); !problem.empty()) {
    task.fail(problem.starts_with("system") ? "system" : "prompt",
              "\"" + problem.substr(0, 6) + "\"" + problem.substr(6));
  }
  if (!own.schema_text.empty()) {
    try {
      const JsonSchema compiled(own.schema_text);
    } catch (const UsageError& error) {
      task.fail("schema", fmt::format("\"schema\": {}", error.what()));
    }
  }
  if (own.system.empty() && own.prompt.empty() && own.schema_text.empty() && kind == usual) {
    return std::nullopt;
  }
  return own;
}

TaskSettings read_task(const std::string& name, TomlTable& table, const Config& config) {
  TaskSettings settings;
  Chain chain = read_chain(table, config.models);
  if (!chain.empty()) settings.chain = std::move(chain);
  settings.max_output_tokens = table.whole("max_output_tokens", 1, 100'000'000);
  settings.routing.rules = read_rules(table, config.routes);
  settings.routing.cheapest_first = table.one_of("order", {"listed", "cheapest"}) == "cheapest";
  settings.own = read_own_task(name, table);
  table.reject_unknown_keys();
  const std::vector<std::string>& built_in = built_in_tasks();
  const bool known = std::find(built_in.begin(), built_in.end(), name) != built_in.end();
  if (!known && !table.has("prompt") && !table.has("system")) {
    table.fail(unknown_name("task", name, built_in) + " A task of your own needs prompt = \"...\"");
  }
  return settings;
}

}  // namespace

std::string unknown_name(std::string_view what, std::string_view name,
                         const std::vector<std::string>& known) {
  const std::string unknown = fmt::format("unknown {} \"{}\"", what, shown(name));
  if (const std::optional<std::string> meant = nearest(name, known)) {
    return fmt::format("{}; did you mean \"{}\"?", unknown, *meant);
  }
  if (known.empty()) return fmt::format("{}; the file has no {}s", unknown, what);
  return fmt::format("{}; there is {}", unknown, fmt::join(known, ", "));
}

Chain read_chain(TomlTable& table, const Models& models) {
  Chain chain;
  const toml::node* value = table.node("chain");
  if (value == nullptr) return chain;
  const auto* array = value->as_array();
  if (array == nullptr || array->empty() || array->size() > kLongestChain) {
    table.fail("chain", fmt::format("\"chain\" must be an array of 1 to {} models, such as "
                                    "[\"deepseek-v3.2\", \"gpt-4.1\"]",
                                    kLongestChain));
  }
  for (const toml::node& node : *array) {
    Link link = read_link(node, table);
    const std::uint32_t line = node.source().begin.line;
    if (models.count(link.model) == 0) {
      table.file().fail(line, unknown_name("model", link.model, names_of(models)));
    }
    const auto is_same = [&](const Link& other) { return other.model == link.model; };
    if (std::any_of(chain.begin(), chain.end(), is_same)) {
      table.file().fail(line, fmt::format("\"{}\" is in this chain twice", link.model));
    }
    chain.push_back(std::move(link));
  }
  return chain;
}

std::map<std::string, Chain> read_routes(const TomlTable& table, const Models& models) {
  reject_dotted_names(table, {});
  std::map<std::string, Chain> routes;
  for (auto& [name, own] : table.named_tables()) {
    Chain chain = read_chain(own, models);
    own.reject_unknown_keys();
    if (chain.empty()) own.fail(fmt::format("{} needs chain = [...]", own.title()));
    routes.emplace(name, std::move(chain));
  }
  return routes;
}

std::map<std::string, TaskSettings> read_tasks(const TomlTable& table, const Config& config) {
  reject_dotted_names(table, {"schema", "rules"});
  std::map<std::string, TaskSettings> tasks;
  for (auto& [written, own] : table.named_tables()) {
    const std::string name = written == "summarize" ? "summarise" : written;
    if (!tasks.emplace(name, read_task(name, own, config)).second) {
      own.fail(fmt::format("{} and [tasks.summarise] are one task; keep one", own.title()));
    }
  }
  return tasks;
}

}  // namespace docmill
