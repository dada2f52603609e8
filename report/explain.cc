#include "report/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::ordered_json;

// A pause that is worth a word.
constexpr std::int64_t kNotedMs = 1000;

struct Money {
  std::int64_t cost_pusd = 0;
  std::int64_t possible_pusd = 0;
  bool is_unpriced = false;
};

bool may_cost(const LifeAttempt& attempt) {
  return attempt.cost_basis == "unknown" || attempt.outcome.empty();
}

Money money_of(const JobLife& life) {
  Money money;
  for (const LifeAttempt& attempt : life.attempts) {
    money.cost_pusd += attempt.cost_pusd.value_or(0);
    if (may_cost(attempt)) money.possible_pusd += attempt.ceiling_pusd.value_or(0);
    money.is_unpriced |=
        attempt.cost_basis == "unpriced" || (may_cost(attempt) && !attempt.ceiling_pusd);
  }
  return money;
}

// "09:44:40.1", with the day before it when it is another than the line before said.
class Times {
 public:
  std::string at(std::int64_t time_ms) {
    const std::string day = iso_day(time_ms);
    const std::string prefix = day == day_ ? "" : day + "\n";
    day_ = day;
    return fmt::format("{}{}.{}", prefix, clock_time(time_ms), time_ms % 1000 / 100);
  }

 private:
  std::string day_;
};

std::string seconds(std::int64_t ms) {
  return ms < 60'000 ? fmt::format("{:.1f} s", static_cast<double>(ms) / 1000) : human_duration(ms);
}

std::string tokens_text(const Usage& usage) {
  std::string text = with_commas(usage.input_tokens()) + " in";
  if (usage.cached_tokens > 0)
    text += fmt::format(" ({} cached)", with_commas(usage.cached_tokens));
  text += ", " + with_commas(usage.output_tokens) + " out";
  if (usage.reasoning_tokens > 0) {
    text += fmt::format(" ({} reasoning)", with_commas(usage.reasoning_tokens));
  }
  return text;
}

std::string charge(const LifeAttempt& attempt) {
  if (attempt.outcome.empty() || attempt.cost_basis == "unknown") {
    const std::string still = attempt.outcome.empty() ? "under way, " : "";
    if (!attempt.ceiling_pusd) return still + "may be billed; the model has no price";
    return still + "$0 to $" + exact_usd(*attempt.ceiling_pusd);
  }
  if (attempt.cost_basis == "unpriced") return "unpriced";
  const std::string cost = "$" + exact_usd(attempt.cost_pusd.value_or(0));
  if (attempt.cost_basis == "zero") return "$0";
  if (attempt.cost_basis == "estimate") return cost + " (by estimate)";
  if (attempt.cost_basis == "manual" || attempt.cost_basis == "ceiling") return cost + " (by hand)";
  return cost;
}

// Endings after which the policy counts no try.
bool costs_no_try(const std::string& outcome) {
  constexpr std::array kWaits = {"rate_limited",          "not_sent",     "aborted", "worker_died",
                                 "unsupported_parameter", "out_of_money", "bad_key"};
  return std::find(kWaits.begin(), kWaits.end(), outcome) != kWaits.end();
}

// What an estimate in usage_json says of a stream that was cut.
std::string cut_estimate(const LifeAttempt& attempt) {
  const auto usage = parse_json(attempt.usage_json);
  if (!usage || !usage->is_object() || !usage->contains("estimated")) return {};
  return fmt::format("; until then about {} in, {} out (estimated)",
                     with_commas(usage->value("prompt_tokens", std::int64_t{0})),
                     with_commas(usage->value("completion_tokens", std::int64_t{0})));
}

std::string what_came(const LifeAttempt& attempt) {
  if (attempt.outcome.empty()) return "no answer yet";
  const std::string after =
      attempt.total_ms ? " after " + seconds(*attempt.total_ms) : std::string();
  std::string text;
  if (attempt.outcome == "answered") {
    text = fmt::format("answered{}", after);
  } else {
    text = printable_line(attempt.outcome) + after;
    if (!attempt.error_message.empty()) text += ": " + printable_line(attempt.error_message);
  }
  if (attempt.usage) text += ", " + tokens_text(*attempt.usage);
  if (attempt.outcome == "answered" && !attempt.finish_reason.empty()) {
    text += ", " + printable_line(attempt.finish_reason);
  }
  if (!attempt.model_returned.empty() && attempt.model_returned != attempt.model_asked) {
    text += ", by " + printable_line(attempt.model_returned);
  }
  text += cut_estimate(attempt);
  if (costs_no_try(attempt.outcome)) text += "; not a try";
  return text;
}

std::string headline(const JobLife& life, const Money& money) {
  std::string text = printable_line(life.item_key) + ": " +
                     (life.state == "ready" || life.state == "waiting" ? "queued"
                      : life.state == "blocked"                        ? "in pieces"
                                                                       : life.state);
  if (life.state == "done" && !life.attempts.empty()) {
    text += " by " + printable_line(life.attempts.back().model);
  }
  const bool has_ended = life.state == "failed" || life.state == "held" || life.state == "done";
  if (!life.error_class.empty() && has_ended) {
    text += " (" + printable_line(life.error_class) + ")";
  }
  text += ", $" + (money.cost_pusd == 0 ? "0" : exact_usd(money.cost_pusd));
  if (money.possible_pusd > 0) {
    text += " and at most $" + exact_usd(money.possible_pusd) + " more";
  }
  if (money.is_unpriced) text += ", and what has no price";
  return text + "\n";
}

std::string told_attempts(const JobLife& life, Times& times, bool with_ids) {
  std::string text;
  std::int64_t last_ms = life.created_at_ms;
  for (const LifeAttempt& attempt : life.attempts) {
    // Pieces are sent side by side: the time between two of them is no waiting.
    const bool is_beside = !attempt.piece.empty() && attempt.number == 1;
    const std::int64_t waited_ms = is_beside ? 0 : attempt.opened_at_ms - last_ms;
    std::string lead;
    if (attempt.kind == "fallback") lead = "next in the chain";
    if (waited_ms >= kNotedMs && attempt.kind == "retry" && attempt.waited_for.empty()) {
      lead = "retried after " + seconds(waited_ms);
    } else if (waited_ms >= kNotedMs) {
      lead += (lead.empty() ? "" : ", ") + fmt::format("after {} of waiting", seconds(waited_ms));
      if (!attempt.waited_for.empty()) lead += " for " + printable_line(attempt.waited_for);
    }
    text += times.at(attempt.opened_at_ms) + (lead.empty() ? "" : "  " + lead) + "\n";
    text += fmt::format("  {}#{} {}  {}   {}\n",
                        attempt.piece.empty() ? "" : "piece " + attempt.piece + " ", attempt.number,
                        printable_line(attempt.model), what_came(attempt), charge(attempt));
    if (with_ids && !attempt.provider_request_id.empty()) {
      text += fmt::format("     {} request {}\n", printable_line(attempt.provider),
                          printable_line(attempt.provider_request_id));
    }
    last_ms = attempt.settled_at_ms.value_or(attempt.opened_at_ms);
  }
  return text;
}

std::string ending_of(const Explained& explained, const JobLife& life, Times& times) {
  const std::string& batch = explained.batch;
  const std::string at = life.finished_at_ms ? times.at(*life.finished_at_ms) + "  " : "";
  if (life.is_superseded) return at + "superseded: the document was submitted with another text\n";
  if (life.state == "done") {
    const std::string but =
        life.error_message.empty() ? "" : ", though " + printable_line(life.error_message);
    return fmt::format("{}result stored{}: docmill results {} --id {}\n", at, but, batch,
                       printable_line(life.item_key));
  }
  if (life.state == "cancelled") return at + "cancelled with its batch\n";
  if (life.state == "failed" || life.state == "held") {
    return fmt::format("{}{}: {}\n  again: docmill retry {} --id {}\n", at, life.state,
                       printable_line(life.error_message), batch, printable_line(life.item_key));
  }
  if (life.state == "running") return "the answer is awaited\n";
  if (life.state == "blocked") return "waits for its pieces\n";
  std::string text = "waits";
  if (life.run_at_ms) text += " until " + times.at(*life.run_at_ms) + " for its next try";
  if (!explained.bound_by.empty()) text += "; its batch: " + printable_line(explained.bound_by);
  if (text == "waits") text += " for its turn";
  text += "\n";
  if (!explained.next_step.empty()) text += "  next: " + printable_line(explained.next_step) + "\n";
  return text;
}

std::string told(const Explained& explained, const JobLife& life, bool with_ids) {
  Times times;
  std::string text = headline(life, money_of(life));
  if (life.error_class == "unreadable" && life.attempts.empty()) {
    return text + times.at(life.created_at_ms) +
           "  could not be read, and was never sent: " + printable_line(life.error_message) + "\n";
  }
  text += fmt::format("{}  queued: {} of text, about {} tokens\n", times.at(life.created_at_ms),
                      human_bytes(life.text_bytes), with_commas((life.text_bytes + 3) / 4));
  if (life.crashes > 0) {
    text += fmt::format("  the worker died {} times while working on its bytes\n", life.crashes);
  }
  if (life.state == "done" && life.attempts.empty()) {
    text += "  the same request had been answered before: that result is reused\n";
  }
  for (const Cutting& cutting : life.cuttings) {
    text += fmt::format("  {} into {} pieces, {} of them done\n",
                        cutting.level == 1 ? "cut" : "what they gave cut",
                        with_commas(cutting.pieces), with_commas(cutting.done));
  }
  text += told_attempts(life, times, with_ids);
  return text + ending_of(explained, life, times);
}

ordered_json json_of(const LifeAttempt& attempt) {
  const auto word = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
  };
  const auto money = [](const std::optional<std::int64_t>& pusd) {
    return pusd ? ordered_json(exact_usd(*pusd)) : ordered_json(nullptr);
  };
  ordered_json out = {{"attempt", attempt.number}, {"at", iso_time(attempt.opened_at_ms)}};
  out["settled_at"] = attempt.settled_at_ms ? ordered_json(iso_time(*attempt.settled_at_ms))
                                            : ordered_json(nullptr);
  out["waited_for"] = word(attempt.waited_for);
  out["kind"] = attempt.kind;
  out["provider"] = attempt.provider;
  out["model"] = attempt.model;
  out["model_returned"] = word(attempt.model_returned);
  out["outcome"] = word(attempt.outcome);
  out["error"] = word(attempt.error_message);
  out["http_status"] = number(attempt.http_status);
  out["total_ms"] = number(attempt.total_ms);
  out["request_id"] = word(attempt.provider_request_id);
  out["cost_basis"] = word(attempt.cost_basis);
  out["cost_usd"] = money(attempt.cost_pusd);
  out["ceiling_usd"] = money(attempt.ceiling_pusd);
  return out;
}

}  // namespace

std::string explain_text(const Explained& explained, bool with_ids) {
  std::string text = told(explained, explained.lives.front(), with_ids);
  for (std::size_t i = 1; i < explained.lives.size(); ++i) {
    text += (i == 1 ? "before that:\n" : "and before that:\n");
    text += told(explained, explained.lives[i], with_ids);
  }
  return text;
}

std::string explain_json(const Explained& explained) {
  const JobLife& life = explained.lives.front();
  const Money money = money_of(life);
  ordered_json out = {{"batch", explained.batch}, {"id", life.item_key}};
  out["state"] = life.state == "ready" || life.state == "waiting" ? "queued" : life.state;
  out["cost_usd"] = exact_usd(money.cost_pusd);
  out["possible_usd"] = exact_usd(money.possible_pusd);
  out["error"] = nullptr;
  if (!life.error_class.empty()) {
    out["error"] = {{"class", life.error_class}, {"message", life.error_message}};
  }
  out["queued_at"] = iso_time(life.created_at_ms);
  out["ended_at"] =
      life.finished_at_ms ? ordered_json(iso_time(*life.finished_at_ms)) : ordered_json(nullptr);
  out["attempts"] = ordered_json::array();
  for (const LifeAttempt& attempt : life.attempts) out["attempts"].push_back(json_of(attempt));
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace docmill
