#pragma once

// The commands. Each is one file: it declares its flags on CLI11's subcommand and gives back what
// to run. main.cc holds the table of them, and is where exceptions end.

#include <functional>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace docmill {

// Flags that every command takes.
struct Global {
  std::optional<std::string> config;
  std::optional<std::string> store;
  bool quiet = false;
  bool verbose = false;
  std::string log = "text";  // or json
};

// Runs the command; the exit code.
using Action = std::function<int()>;

// `app` and `global` outlive the action.
Action add_init(CLI::App& app, const Global& global);
Action add_submit(CLI::App& app, const Global& global);
Action add_run(CLI::App& app, const Global& global);
Action add_work(CLI::App& app, const Global& global);
Action add_wait(CLI::App& app, const Global& global);
Action add_status(CLI::App& app, const Global& global);
Action add_results(CLI::App& app, const Global& global);
Action add_explain(CLI::App& app, const Global& global);
Action add_report(CLI::App& app, const Global& global);
Action add_retry(CLI::App& app, const Global& global);
Action add_pause(CLI::App& app, const Global& global);
Action add_resume(CLI::App& app, const Global& global);
Action add_cancel(CLI::App& app, const Global& global);
Action add_settle(CLI::App& app, const Global& global);
Action add_check(CLI::App& app, const Global& global);
Action add_prices(CLI::App& app, const Global& global);
Action add_backup(CLI::App& app, const Global& global);
Action add_prune(CLI::App& app, const Global& global);
Action add_selftest(CLI::App& app, const Global& global);
Action add_trial(CLI::App& app, const Global& global);
Action add_tasks(CLI::App& app, const Global& global);
Action add_completion(CLI::App& app, const Global& global);
Action add_man(CLI::App& app, const Global& global);  // not in --help: for the package
Action add_simulate(CLI::App& app, const Global& global);

inline constexpr int kExitDone = 0;
inline constexpr int kExitSomeFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitWorld = 3;
inline constexpr int kExitNeedsPerson = 4;
inline constexpr int kExitInterrupted = 130;

}  // namespace docmill
