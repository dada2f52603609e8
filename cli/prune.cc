// docmill prune --older-than 90d: drops the texts and results of batches that ended long ago and
// were handed out. The documents' rows and the whole ledger stay.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "cli/open.h"
#include "store/report_reader.h"

namespace docmill {
namespace {

// In one transaction, so that a worker waits for it no longer than for a submit.
constexpr int kPagesAtOnce = 500;

struct PruneFlags {
  std::string older_than;
  bool force = false;
};

std::int64_t prune_batch(OpenedQueue& opened, const Batch& batch) {
  std::int64_t documents = 0;
  JobSpan left = span_of(opened.db, batch.id);
  for (;;) {
    const Pruned pruned = opened.queue.prune_in_transaction(batch.id, left.before, left.last);
    documents += pruned.jobs;
    if (!pruned.last) return documents;
    left.before = *pruned.last;
  }
}

void give_space_back(Database& db) {
  std::int64_t left = -1;
  for (;;) {
    Transaction transaction(db);
    const std::int64_t now_left = db.shrink(kPagesAtOnce);
    transaction.commit();
    if (now_left == 0 || now_left == left) break;
    left = now_left;
  }
  // The file itself becomes shorter with the next checkpoint: this one, or a busy worker's.
  db.checkpoint_when_idle();
}

int prune(const Global& global, const PruneFlags& flags) {
  const auto older_ms = parse_duration_ms(flags.older_than);
  if (!older_ms) throw UsageError("--older-than: a duration is like 90d or 12h");
  const auto opened = open_queue(global);
  const std::int64_t before_ms = opened->clock.now_ms() - *older_ms;
  int pruned = 0;
  StoreReader reader(opened->db);
  for (const Batch& batch : reader.batches()) {
    if (!batch.finished_at_ms || *batch.finished_at_ms >= before_ms) continue;
    if (batch.pruned_at_ms && *batch.pruned_at_ms >= *batch.finished_at_ms) continue;
    if (!batch.exported_at_ms && !flags.force) {
      say(global, fmt::format("{} is kept: its results were never taken (docmill results {} -o "
                              "FILE, or prune --force)",
                              batch.name, batch.name));
      continue;
    }
    const std::int64_t documents = prune_batch(*opened, batch);
    say(global, fmt::format("{}: the texts and results of {} documents are dropped; their record "
                            "and the ledger stay",
                            batch.name, with_commas(documents)));
    ++pruned;
  }
  if (pruned > 0) give_space_back(opened->db);
  if (pruned == 0) say(global, "nothing to prune");
  return kExitDone;
}

}  // namespace

Action add_prune(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("prune", "drop texts and results of batches long ended");
  static PruneFlags flags;
  command->add_option("--older-than", flags.older_than, "ended before that, for example 90d")
      ->required();
  command->add_flag("--force", flags.force, "also what was never exported");
  return [&global] { return prune(global, flags); };
}

}  // namespace docmill
