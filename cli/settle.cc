// docmill settle BATCH: closes attempts whose outcome is unknown, on a person's word.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "cli/open.h"
#include "report/table.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

struct SettleFlags {
  std::string batch;
  std::vector<std::int64_t> attempts;
  bool all = false;
  std::string cost;
  bool zero = false;
  bool ceiling = false;
};

void list(const std::vector<UnknownAttempt>& unknown) {
  Table table({">ATTEMPT", "ID", ">TRY", "MODEL", "SENT (UTC)", "WHY", ">AT MOST"});
  for (const UnknownAttempt& attempt : unknown) {
    table.add({std::to_string(attempt.id.value), attempt.item_key, std::to_string(attempt.number),
               attempt.model, short_time(attempt.opened_at_ms), attempt.outcome,
               attempt.ceiling_pusd ? human_usd(*attempt.ceiling_pusd) : "unpriced"});
  }
  write_all(STDOUT_FILENO, table.text());
}

Settlement word_on(const UnknownAttempt& attempt, const SettleFlags& flags) {
  Settlement settlement;
  settlement.outcome = attempt.outcome;
  settlement.error_message = "settled by hand";
  if (flags.zero) {
    settlement.cost_basis = "manual";
    settlement.cost_pusd = 0;
  } else if (flags.ceiling) {
    if (!attempt.ceiling_pusd) {
      throw UsageError(fmt::format("attempt {} is unpriced and has no ceiling; give --cost USD",
                                   attempt.id.value));
    }
    settlement.cost_basis = "ceiling";
    settlement.cost_pusd = *attempt.ceiling_pusd;
  } else {
    settlement.cost_basis = "manual";
    settlement.cost_pusd = parse_cost_flag("--cost", flags.cost);
  }
  return settlement;
}

int settle(const Global& global, const SettleFlags& flags) {
  const auto opened = open_queue(global);
  const Batch batch = batch_named(*opened, flags.batch);
  const std::vector<UnknownAttempt> unknown = opened->queue.ledger().unknown_attempts(batch.id);
  const int ways = int{!flags.cost.empty()} + int{flags.zero} + int{flags.ceiling};
  if (flags.attempts.empty() && !flags.all && ways == 0) {
    list(unknown);
    return kExitDone;
  }
  if (flags.attempts.empty() == !flags.all) {
    throw UsageError("settle BATCH --attempt N, or settle BATCH --all");
  }
  if (ways != 1) throw UsageError("give one of --cost USD, --zero and --ceiling");
  Transaction transaction(opened->db);
  int settled = 0;
  for (const UnknownAttempt& attempt : unknown) {
    const bool is_meant = flags.all || std::find(flags.attempts.begin(), flags.attempts.end(),
                                                 attempt.id.value) != flags.attempts.end();
    if (!is_meant) continue;
    if (opened->queue.resolve(attempt.id, batch.id, word_on(attempt, flags))) ++settled;
  }
  if (!flags.all && settled != static_cast<int>(flags.attempts.size())) {
    throw UsageError(
        fmt::format("not all of these attempts are unknown ones of {}; docmill settle "
                    "{} lists them",
                    batch.name, batch.name));
  }
  transaction.commit();
  nudge_worker(opened->store);
  say(global, fmt::format("{}: {} attempts settled", batch.name, settled));
  return kExitDone;
}

}  // namespace

Action add_settle(CLI::App& app, const Global& global) {
  CLI::App* command =
      app.add_subcommand("settle", "list or close attempts whose outcome is unknown");
  static SettleFlags flags;
  command->add_option("BATCH", flags.batch)->required();
  command->add_option("--attempt", flags.attempts, "the number that the list shows");
  command->add_flag("--all", flags.all, "all of the batch's");
  command->add_option("--cost", flags.cost, "USD: what the provider billed for each");
  command->add_flag("--zero", flags.zero, "they were not billed");
  command->add_flag("--ceiling", flags.ceiling, "count the most that each can have cost");
  return [&global] { return settle(global, flags); };
}

}  // namespace docmill
