// docmill cancel BATCH: nothing more of it is started; answers in flight are kept.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/text.h"
#include "cli/open.h"
#include "worker/nudge.h"

namespace docmill {

Action add_cancel(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("cancel", "end a batch; answers in flight are kept");
  static std::string name;
  static bool now = false;
  command->add_option("BATCH", name)->required();
  command->add_flag("--now", now, "cut what is in flight, too (it may be billed)");
  return [&global] {
    const auto opened = open_queue(global);
    const Batch batch = batch_named(*opened, name);
    if (batch.finished_at_ms) {
      say(global, fmt::format("{} has ended already", batch.name));
      return kExitDone;
    }
    const int cancelled = opened->queue.cancel_in_transaction(batch.id, now);
    nudge_worker(opened->store);
    say(global, fmt::format("{}: {} documents cancelled", batch.name, with_commas(cancelled)));
    return kExitDone;
  };
}

}  // namespace docmill
