// docmill submit TASK INPUT...: queues documents and returns.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/submission.h"

namespace docmill {

Action add_submit(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("submit", "queue documents");
  static SubmitFlags flags;
  declare_submit_flags(*command, flags);
  return [&global] {
    const Submission sum = submit(global, flags);
    if (flags.dry_run) return kExitDone;
    fmt::print("{}\n", sum.batch);
    const Global quietly{global.config, global.store, true, false};
    const auto worker = running_worker(find_store(quietly, open_config(quietly)));
    say(global, worker
                    ? fmt::format("a worker is running (pid {}); follow it with: docmill wait {}",
                                  worker->pid, sum.batch)
                    : "no worker is running: docmill work");
    return kExitDone;
  };
}

}  // namespace docmill
