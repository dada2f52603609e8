// docmill settle BATCH: closes attempts whose outcome is unknown, on a person's word.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "cli/open.h"
#include "llm/usage.h"
#include "report/table.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

struct SettleFlags {
  std::string batch;
  std::vector<std::int64_t> attempts;
  bool all = false;
  std::string cost;
  std::string usage;
  bool zero = false;
  bool ceiling = false;
  bool estimate = false;
};

// What the tokens cost at the price that the attempt was sent under. Nothing: it was unpriced.
std::optional<std::int64_t> cost_at(OpenedQueue& opened, const UnknownAttempt& attempt,
                                    const Usage& usage, const std::string& tier) {
  if (!attempt.price) return std::nullopt;
  const auto row = opened.queue.prices().row(*attempt.price);
  return row ? cost_pusd(usage, row->price, tier, attempt.opened_at_ms) : std::nullopt;
}

// Of an answer that was cut while it was streamed. Nothing: nobody estimated it, or it is unpriced.
std::optional<std::int64_t> estimated_pusd(OpenedQueue& opened, const UnknownAttempt& attempt) {
  const auto json = view_json(attempt.usage_json);
  const auto usage = json ? read_usage(*json, Provider{}) : std::nullopt;
  return usage ? cost_at(opened, attempt, *usage, "") : std::nullopt;
}

void list(OpenedQueue& opened, const std::vector<UnknownAttempt>& unknown) {
  Table table({">ATTEMPT", "ID", ">TRY", "MODEL", "SENT (UTC)", "WHY", ">ESTIMATE", ">AT MOST"});
  for (const UnknownAttempt& attempt : unknown) {
    const auto estimate = estimated_pusd(opened, attempt);
    table.add({std::to_string(attempt.id.value), attempt.item_key, std::to_string(attempt.number),
               attempt.model, short_time(attempt.opened_at_ms), attempt.outcome,
               estimate ? human_usd(*estimate) : "-",
               attempt.ceiling_pusd ? human_usd(*attempt.ceiling_pusd) : "unpriced"});
  }
  write_all(STDOUT_FILENO, table.text());
}

// What was in flight when a worker died is open until the next one has looked.
void say_what_a_death_left(const Global& global, OpenedQueue& opened, const Batch& batch) {
  if (running_worker(opened.store)) return;
  const std::vector<OpenAttempt> open = opened.queue.ledger().open_attempts();
  const auto count = std::count_if(open.begin(), open.end(), [&](const OpenAttempt& attempt) {
    return attempt.batch.value == batch.id.value;
  });
  if (count == 0) return;
  say(global, fmt::format("{} more were in flight when the worker died; they can be settled once "
                          "another has started: docmill work",
                          with_commas(count)));
}

// The usage object of a provider's log, or the whole reply with it.
Word word_of_usage(OpenedQueue& opened, const UnknownAttempt& attempt, const std::string& text) {
  const std::string content =
      text.starts_with('@') ? read_named_file(text.substr(1), 1 << 20) : text;
  const auto given = view_json(content);
  if (!given || !given->is_object()) throw UsageError("--usage: that is not a JSON object");
  const JsonView object = member(*given, "usage").value_or(*given);
  const auto provider = opened.config.providers.find(attempt.provider);
  const Provider& as = provider == opened.config.providers.end() ? Provider{} : provider->second;
  const auto usage = read_usage(object, as);
  if (!usage) {
    throw UsageError(fmt::format(
        "--usage: it has not the token counts of {}'s dialect, for example prompt_tokens and "
        "completion_tokens",
        attempt.provider));
  }
  const auto cost = cost_at(opened, attempt, *usage, std::string(word_at(*given, "service_tier")));
  if (!cost) {
    throw UsageError(fmt::format("attempt {} was sent without a price for it; give --cost USD",
                                 attempt.id.value));
  }
  return {"usage", *cost, usage, to_text(object), attempt.price};
}

Word word_on(OpenedQueue& opened, const UnknownAttempt& attempt, const SettleFlags& flags) {
  if (flags.zero) return {"manual", 0, {}, "", {}};
  if (!flags.usage.empty()) return word_of_usage(opened, attempt, flags.usage);
  if (flags.estimate) {
    const auto estimate = estimated_pusd(opened, attempt);
    if (!estimate) {
      throw UsageError(fmt::format(
          "attempt {} has no estimate: nothing of its answer came; give --ceiling, --zero or "
          "--cost USD",
          attempt.id.value));
    }
    return {"estimate", *estimate, {}, "", attempt.price};
  }
  if (flags.ceiling) {
    if (!attempt.ceiling_pusd) {
      throw UsageError(fmt::format("attempt {} is unpriced and has no ceiling; give --cost USD",
                                   attempt.id.value));
    }
    return {"ceiling", *attempt.ceiling_pusd, {}, "", attempt.price};
  }
  return {"manual", parse_cost_flag("--cost", flags.cost), {}, "", {}};
}

int settle(const Global& global, const SettleFlags& flags) {
  const auto opened = open_queue(global);
  const Batch batch = batch_named(*opened, flags.batch);
  const std::vector<UnknownAttempt> unknown = opened->queue.ledger().unknown_attempts(batch.id);
  const int ways = int{!flags.cost.empty()} + int{!flags.usage.empty()} + int{flags.zero} +
                   int{flags.ceiling} + int{flags.estimate};
  if (flags.attempts.empty() && !flags.all && ways == 0) {
    list(*opened, unknown);
    say_what_a_death_left(global, *opened, batch);
    return kExitDone;
  }
  if (flags.attempts.empty() == !flags.all) {
    throw UsageError("settle BATCH --attempt N, or settle BATCH --all");
  }
  if (ways != 1) {
    throw UsageError("give one of --cost USD, --usage JSON, --zero, --estimate and --ceiling");
  }
  if (!flags.usage.empty() && flags.attempts.size() != 1) {
    throw UsageError("--usage is one attempt's: settle BATCH --attempt N --usage JSON");
  }
  Transaction transaction(opened->db);
  int settled = 0;
  for (const UnknownAttempt& attempt : unknown) {
    const bool is_meant = flags.all || std::find(flags.attempts.begin(), flags.attempts.end(),
                                                 attempt.id.value) != flags.attempts.end();
    if (!is_meant) continue;
    if (opened->queue.resolve(attempt.id, batch.id, word_on(*opened, attempt, flags))) ++settled;
  }
  if (!flags.all && settled != static_cast<int>(flags.attempts.size())) {
    throw UsageError(
        fmt::format("not all of these attempts are unknown ones of {}; docmill settle "
                    "{} lists them",
                    batch.name, batch.name));
  }
  transaction.commit();
  nudge_worker(opened->store);
  say(global, fmt::format("{}: {} settled", batch.name, counted(settled, "attempt")));
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
  command->add_option("--usage", flags.usage,
                      "the provider's usage object for it, as JSON or @FILE; priced as when sent");
  command->add_flag("--zero", flags.zero, "they were not billed");
  command->add_flag("--estimate", flags.estimate,
                    "count what had come of each answer when it was cut");
  command->add_flag("--ceiling", flags.ceiling, "count the most that each can have cost");
  return [&global] { return settle(global, flags); };
}

}  // namespace docmill
