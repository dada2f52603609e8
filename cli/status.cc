// docmill status [BATCH]: counts, cost, what binds, what to do next.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/money.h"
#include "cli/follow.h"
#include "report/status.h"

namespace docmill {
namespace {

struct StatusFlags {
  std::string batch;
  bool watch = false;
  bool json = false;
  bool all = false;
};

bool use_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return is_terminal(STDOUT_FILENO) && (no_colour == nullptr || no_colour[0] == '\0');
}

// Twice what the worker lets gather: somebody reads an old snapshot, and keeps it from starting
// again at its head.
std::string about_wal(OpenedReader& opened) {
  constexpr std::int64_t kLongWalBytes = 128 << 20;
  const std::int64_t bytes = opened.db.wal_bytes();
  if (bytes <= kLongWalBytes) return {};
  return fmt::format("the WAL has grown to {}: a process has been reading one snapshot for long\n",
                     human_bytes(bytes));
}

std::string first_line(OpenedReader& opened, const StoreStatus& status) {
  std::string worker = "NO WORKER: docmill work";
  if (status.worker) {
    worker = fmt::format("worker pid {}, up {}", status.worker->pid,
                         human_duration(status.now_ms - status.worker->since_ms));
  } else if (use_colour()) {
    worker = "\033[31m" + worker + "\033[0m";
  }
  std::string today;
  if (const auto cap_pusd = opened.config.worker.caps.daily_pusd) {
    today = fmt::format("    today {} of {}",
                        human_usd(opened.reader.spending_since(day_of(status.now_ms))),
                        human_usd(*cap_pusd));
  }
  return fmt::format("store {}    {}{}\n{}", status.store, worker, today, about_wal(opened));
}

std::string screen(OpenedReader& opened, const StatusFlags& flags) {
  const std::int64_t now_ms = opened.clock.now_ms();
  StoreStatus status = read_status(opened.reader, opened.store, flags.batch, now_ms);
  if (flags.json) return status_json(status);
  if (flags.batch.empty()) return first_line(opened, status) + status_table(status, flags.all);
  BatchStatus& batch = status.batches.front();
  batch.models = opened.reader.activity(batch.batch.id);
  return first_line(opened, status) + status_view(status.batches.front(), status);
}

constexpr std::int64_t kLineEveryMs = 30'000;

bool has_ended(OpenedReader& opened, const std::string& batch) {
  if (batch.empty()) return false;
  const Batch row = batch_named(opened.reader, batch);
  return row.finished_at_ms.has_value();
}

// Redrawn in place on a terminal; elsewhere a line each 30 s.
int watch(OpenedReader& opened, const StatusFlags& flags) {
  const bool redraw = is_terminal(STDOUT_FILENO);
  std::int64_t next_line_ms = 0;
  for (;;) {
    const std::int64_t start_ms = opened.clock.now_ms();
    if (redraw) {
      write_all(STDOUT_FILENO, "\033[H\033[J" + screen(opened, flags) +
                                   "Ctrl-C leaves this view; the work goes on\n");
    } else {
      const std::int64_t now_ms = opened.clock.now_ms();
      if (now_ms >= next_line_ms || has_ended(opened, flags.batch)) {
        next_line_ms = now_ms + kLineEveryMs;
        for (const BatchStatus& batch :
             read_status(opened.reader, opened.store, flags.batch, now_ms).batches) {
          if (batch.state != "finished" || batch.batch.name == flags.batch) {
            write_all(STDOUT_FILENO, status_line(batch) + "\n");
          }
        }
      }
    }
    if (has_ended(opened, flags.batch)) return kExitDone;
    const std::int64_t cost_ms = opened.clock.now_ms() - start_ms;
    wait_for_change(opened.db, 1000, cost_ms);
    wait_for_change(opened.db, 200);  // a busy store changes all the time
  }
}

}  // namespace

Action add_status(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("status", "counts, cost, what binds, what to do next");
  static StatusFlags flags;
  command->add_option("BATCH", flags.batch);
  command->add_flag("--watch", flags.watch, "keep showing it");
  command->add_flag("--json", flags.json, "for programs");
  command->add_flag("--all", flags.all, "finished batches, too");
  return [&global] {
    const auto opened = open_reader(global);
    if (!flags.batch.empty()) batch_named(opened->reader, flags.batch);
    if (flags.watch) return watch(*opened, flags);
    write_all(STDOUT_FILENO, screen(*opened, flags));
    return kExitDone;
  };
}

}  // namespace docmill
