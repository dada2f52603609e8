#pragma once

// The whole docmill.toml, read and checked. load_config() either gives values that every part can
// use without further checks, or throws UsageError that names file, line and the fix.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "llm/model.h"
#include "tasks/routing.h"
#include "tasks/task.h"
#include "worker/options.h"

namespace docmill {

// What [tasks.NAME] says of a task: of a built-in one, or of one of the user's own.
struct TaskSettings {
  std::optional<Chain> chain;
  RoutePolicy routing;  // rules, and order = "cheapest"
  std::optional<std::int64_t> max_output_tokens;
  std::optional<OwnTask> own;  // it has prompts of its own
};

struct Config {
  std::filesystem::path file;   // empty: none was found
  std::filesystem::path store;  // [store] path, resolved against the config file's folder; or empty
  WorkerOptions worker;
  Providers providers;
  Models models;
  std::map<std::string, Chain> routes;
  std::map<std::string, TaskSettings> tasks;
  Chain default_chain;                         // [defaults] chain, or empty
  std::optional<std::int64_t> batch_cap_pusd;  // [caps] batch
  std::optional<std::int64_t> confirm_pusd;    // [caps] confirm
  std::vector<std::string> on_finish;          // [worker] on_finish: a program and its arguments
  std::optional<int> metrics_port;             // [metrics] port, on 127.0.0.1; absent: off
  Currency currency;                           // [report] currency, for display
};

// Throws UsageError: "FILE:LINE: what; what to write instead".
Config load_config(const std::filesystem::path& file);
// The same for a text; `file` is for messages and for resolving relative paths.
Config parse_config(std::string_view text, const std::filesystem::path& file);

// Which file a command reads: --config, $DOCMILL_CONFIG, ./docmill.toml (only when it is the
// caller's or root's and nobody else can write it), $XDG_CONFIG_HOME, /etc. Nothing when there is
// none. Throws UsageError when the named one is missing, or ./docmill.toml is not to be trusted.
std::optional<std::filesystem::path> find_config(const std::optional<std::string>& named);

}  // namespace docmill
