// docmill check: what is wrong before a run begins.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/money.h"
#include "cli/open.h"
#include "config/known.h"
#include "worker/keys.h"

namespace docmill {
namespace {

int check(const Global& global) {
  const auto file = find_config(global.config);
  Config config = open_config(global);
  if (!file && config.providers.empty()) {
    throw UsageError(fmt::format(
        "no config was found: docmill init --provider NAME writes a docmill.toml; or set one of {}",
        fmt::join(known_key_variables(), ", ")));
  }
  const std::filesystem::path store = find_store(global, config);
  price_by_store(store, config);
  fmt::print("config {}: {} providers, {} models\n", file ? file->string() : "none",
             config.providers.size(), config.models.size());
  int problems = 0;
  for (const auto& [name, key] : KeyReader().load(config.providers)) {
    const Provider& provider = config.providers.at(name);
    const bool needs_none = key.secret.is_empty() && key.problem.empty();
    fmt::print("provider {} at {}: {}\n", name, provider.base_url,
               !key.problem.empty() ? key.problem
               : needs_none         ? "no key is sent"
                                    : "has a key");
    if (!key.problem.empty()) ++problems;
  }
  for (const auto& [key, model] : config.models) {
    if (!model.price) {
      fmt::print("model {}: no price, so its requests are counted as unpriced\n", key);
      continue;
    }
    const std::string doubt =
        price_doubt(*model.price, known_prices(nullptr, model.name, SystemClock().now_ms()));
    if (doubt.empty()) continue;
    fmt::print("model {}: is its price right? {}: {}\n", key, model.price_source, doubt);
    ++problems;
  }
  if (!std::filesystem::exists(store)) {
    fmt::print("store {}: not there yet; submit makes it\n", store.string());
  } else {
    const OpenedReader opened(store);
    const auto worker = running_worker(store);
    fmt::print("store {}: good; {}\n", store.string(),
               worker ? fmt::format("worker pid {}", worker->pid) : "no worker is running");
  }
  if (problems == 0) return kExitDone;
  say(global, fmt::format("{} problem{} to see to", problems, problems == 1 ? "" : "s"));
  return kExitUsage;
}

}  // namespace

Action add_check(CLI::App& app, const Global& global) {
  app.add_subcommand("check", "find what is wrong before a run");
  return [&global] { return check(global); };
}

}  // namespace docmill
