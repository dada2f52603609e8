// docmill pause BATCH and docmill resume BATCH: whether its jobs may start.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/money.h"
#include "cli/open.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

struct ResumeFlags {
  std::string batch;
  std::string max_cost;
  std::string provider;
};

int resume_provider(const Global& global, const std::string& provider) {
  const auto opened = open_queue(global);
  Transaction transaction(opened->db);
  bool was_paused = opened->queue.jobs().resume_provider(provider);
  for (const auto& [key, model] : opened->config.models) {
    if (model.provider == provider) was_paused |= opened->queue.jobs().resume_provider(key);
  }
  transaction.commit();
  nudge_worker(opened->store);
  if (!was_paused) throw UsageError(fmt::format("{} is not paused", provider));
  say(global, fmt::format("{} is asked again with the next document", provider));
  return kExitDone;
}

int resume_batch(const Global& global, const ResumeFlags& flags) {
  const auto opened = open_queue(global);
  const Batch batch = batch_named(*opened, flags.batch);
  // One that is finished may be submitted to again, under another cap.
  if (batch.cancelled_at_ms || (batch.finished_at_ms && flags.max_cost.empty())) {
    throw UsageError(fmt::format("{} has ended", batch.name));
  }
  std::optional<std::int64_t> cap_pusd;
  if (!flags.max_cost.empty()) {
    cap_pusd = parse_cost_flag("--max-cost", flags.max_cost);
    if (*cap_pusd < batch.spent_pusd + batch.reserved_pusd) {
      throw UsageError(fmt::format(
          "--max-cost is the new total, and {} are spent or in flight or unknown already",
          exact_usd(batch.spent_pusd + batch.reserved_pusd)));
    }
  }
  if (!cap_pusd && !batch.paused_at_ms && !batch.held_reason) {
    throw UsageError(
        fmt::format("{} is neither paused nor held; failed documents go again with: "
                    "docmill retry {}",
                    batch.name, batch.name));
  }
  opened->queue.resume_in_transaction(batch.id, cap_pusd);
  nudge_worker(opened->store);
  say(global, fmt::format("{} {}{}", batch.name, batch.finished_at_ms ? "is finished" : "goes on",
                          cap_pusd ? ", up to " + human_usd(*cap_pusd) : ""));
  return kExitDone;
}

}  // namespace

Action add_pause(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("pause", "start nothing more of a batch for now");
  static std::string name;
  command->add_option("BATCH", name)->required();
  return [&global] {
    const auto opened = open_queue(global);
    const Batch batch = batch_named(*opened, name);
    if (batch.finished_at_ms) throw UsageError(fmt::format("{} has ended", batch.name));
    opened->queue.pause_in_transaction(batch.id);
    nudge_worker(opened->store);
    say(global, fmt::format("{} is paused; go on with: docmill resume {}", batch.name, batch.name));
    return kExitDone;
  };
}

Action add_resume(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("resume", "let a paused or held batch go on");
  static ResumeFlags flags;
  command->add_option("BATCH", flags.batch);
  command->add_option("--max-cost", flags.max_cost, "USD: the batch's new total");
  command->add_option("--provider", flags.provider, "ask a paused provider again at once");
  return [&global] {
    if (flags.batch.empty() == flags.provider.empty()) {
      throw UsageError("resume BATCH, or resume --provider NAME");
    }
    return flags.provider.empty() ? resume_batch(global, flags)
                                  : resume_provider(global, flags.provider);
  };
}

}  // namespace docmill
