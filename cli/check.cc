// docmill check: what is wrong before a run begins.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/money.h"
#include "cli/open.h"
#include "worker/keys.h"

namespace docmill {
namespace {

int check(const Global& global) {
  const auto file = find_config(global.config);
  if (!file) {
    throw UsageError("no config was found; docmill init --provider NAME writes a docmill.toml");
  }
  const Config config = open_config(global);
  fmt::print("config {}: {} providers, {} models\n", file->string(), config.providers.size(),
             config.models.size());
  int problems = 0;
  for (const auto& [name, key] : load_keys(config.providers)) {
    const Provider& provider = config.providers.at(name);
    const bool needs_none = key.secret.is_empty() && key.problem.empty();
    fmt::print("provider {} at {}: {}\n", name, provider.base_url,
               !key.problem.empty() ? key.problem
               : needs_none         ? "no key is sent"
                                    : "has a key");
    if (!key.problem.empty()) ++problems;
  }
  for (const auto& [key, model] : config.models) {
    if (model.price) continue;
    fmt::print("model {}: no price, so its requests are counted as unpriced\n", key);
  }
  const std::filesystem::path store = find_store(global, config);
  if (!std::filesystem::exists(store)) {
    fmt::print("store {}: not there yet; submit makes it\n", store.string());
  } else {
    const OpenedReader opened(store);
    const auto worker = running_worker(store);
    fmt::print("store {}: good; {}\n", store.string(),
               worker ? fmt::format("worker pid {}", worker->pid) : "no worker is running");
  }
  if (problems == 0) return kExitDone;
  say(global, fmt::format("{} provider{} cannot be used yet", problems, problems == 1 ? "" : "s"));
  return kExitUsage;
}

}  // namespace

Action add_check(CLI::App& app, const Global& global) {
  app.add_subcommand("check", "find what is wrong before a run");
  return [&global] { return check(global); };
}

}  // namespace docmill
