// docmill submit TASK INPUT...: queues documents and returns.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/run.h"

namespace docmill {

Action add_submit(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("submit", "queue documents");
  static SubmitFlags flags;
  declare_submit_flags(*command, flags);
  return [&global] {
    if (flags.rehearse) return rehearse(global, flags, {});
    const Config config = open_config(global);
    const std::filesystem::path store = find_store(global, config);
    const Submission sum = submit(global, config, store, flags);
    if (flags.dry_run) return kExitDone;
    fmt::print("{}\n", sum.batch);
    say(global, running_worker(store) ? fmt::format("{}; follow it with: docmill wait {}",
                                                    worker_line(store), sum.batch)
                                      : worker_line(store));
    return kExitDone;
  };
}

}  // namespace docmill
