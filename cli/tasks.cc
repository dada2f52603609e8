// docmill tasks: what can be asked for.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/open.h"
#include "report/table.h"

namespace docmill {
namespace {

std::string kind_text(const std::string& name, const TaskSettings& settings) {
  if (!settings.own) return "built in";
  const TaskKind kind = settings.own->kind;
  const char* as = kind == TaskKind::extract     ? "extract"
                   : kind == TaskKind::translate ? "translate"
                                                 : "summarise";
  return name == as ? "its prompt is the config's" : fmt::format("of the config, as {}", as);
}

int list_tasks(const Global& global) {
  const Config config = open_config(global);
  std::map<std::string, TaskSettings> tasks = config.tasks;
  for (const char* name : {"summarise", "translate", "extract", "requests"})
    tasks.try_emplace(name);
  Table table({"TASK", "IS", "CHAIN", ">ANSWER AT MOST"});
  for (const auto& [name, settings] : tasks) {
    const Chain& chain = settings.chain ? *settings.chain : config.default_chain;
    table.add(
        {name, kind_text(name, settings), chain.empty() ? "-" : chain_text(chain),
         settings.max_output_tokens ? fmt::format("{} tokens", *settings.max_output_tokens) : "-"});
  }
  put(std::nullopt, table.text());
  return kExitDone;
}

}  // namespace

Action add_tasks(CLI::App& app, const Global& global) {
  app.add_subcommand("tasks", "the tasks that submit and run know");
  return [&global] { return list_tasks(global); };
}

}  // namespace docmill
