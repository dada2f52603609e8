#include "report/trial_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/money.h"
#include "base/text.h"
#include "report/table.h"

namespace docmill {
namespace {

constexpr double kTwoSided95 = 1.96;
constexpr double kThousand = 1000;

// The mean cost of a document, times a thousand, and the interval of the mean.
void add_cost(const std::vector<double>& costs_pusd, TrialRow& row) {
  if (costs_pusd.empty()) return;
  const auto count = static_cast<double>(costs_pusd.size());
  double sum = 0, squares = 0;
  for (const double cost : costs_pusd) sum += cost;
  const double mean = sum / count;
  for (const double cost : costs_pusd) squares += (cost - mean) * (cost - mean);
  const double error = count > 1 ? kTwoSided95 * std::sqrt(squares / (count - 1) / count) : mean;
  row.per_thousand_pusd = std::llround(mean * kThousand);
  row.per_thousand_between = {std::max(0.0, mean - error) * kThousand, (mean + error) * kThousand};
}

std::string share_text(std::int64_t hits, std::int64_t total) {
  if (total == 0) return "-";
  const Interval between = share_interval(hits, total);
  return fmt::format("{}/{} ({:.0f}-{:.0f} %)", hits, total, 100 * between.low, 100 * between.high);
}

std::string ms_text(const std::optional<std::int64_t>& ms) {
  return ms ? fmt::format("{:.1f} s", static_cast<double>(*ms) / 1000) : "-";
}

std::string cost_text(const TrialRow& row) {
  if (row.is_unpriced) return "unpriced";
  if (!row.per_thousand_pusd) return "-";
  return fmt::format("{} ({}-{})", human_usd(*row.per_thousand_pusd),
                     human_usd(std::llround(row.per_thousand_between.low)),
                     human_usd(std::llround(row.per_thousand_between.high)));
}

std::int64_t per_done(std::int64_t sum, const TrialRow& row) {
  return row.done > 0 ? sum / row.done : 0;
}

nlohmann::ordered_json maybe(const std::optional<std::int64_t>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json json_of(const TrialRow& row) {
  nlohmann::ordered_json cost = nullptr, low = nullptr, high = nullptr;
  if (row.per_thousand_pusd && !row.is_unpriced) {
    cost = exact_usd(*row.per_thousand_pusd);
    low = exact_usd(std::llround(row.per_thousand_between.low));
    high = exact_usd(std::llround(row.per_thousand_between.high));
  }
  return {{"model", row.model},
          {"documents", row.documents},
          {"done", row.done},
          {"cut_off", row.cut_off},
          {"invalid_output", row.invalid},
          {"reused", row.reused},
          {"avg_output_characters", per_done(row.output_characters, row)},
          {"avg_output_tokens", per_done(row.output_tokens, row)},
          {"p50_ms", maybe(row.latencies.percentile(50))},
          {"p95_ms", maybe(row.latencies.percentile(95))},
          {"spent_usd", row.is_unpriced ? nlohmann::ordered_json(nullptr)
                                        : nlohmann::ordered_json(exact_usd(row.spent_pusd))},
          {"per_1000_documents_usd", cost},
          {"per_1000_low_usd", low},
          {"per_1000_high_usd", high}};
}

}  // namespace

Interval share_interval(std::int64_t hits, std::int64_t total) {
  const auto n = static_cast<double>(total);
  const double share = static_cast<double>(hits) / n;
  const double z2 = kTwoSided95 * kTwoSided95;
  const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double reach =
      kTwoSided95 * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  return {std::max(0.0, middle - reach), std::min(1.0, middle + reach)};
}

TrialRow trial_row(Database& db, const Batch& batch, const std::string& model) {
  TrialRow trial;
  trial.model = model;
  std::vector<double> costs_pusd;
  StoreReader(db).each_result(batch.id, "", [&](const ResultRow& row) {
    ++trial.documents;
    trial.is_unpriced |= row.is_unpriced;
    trial.spent_pusd += row.cost_pusd;
    if (row.is_reused) {
      ++trial.reused;
    } else if (row.attempts > 0) {
      costs_pusd.push_back(static_cast<double>(row.cost_pusd));
    }
    if (row.state != "done") return;
    ++trial.done;
    const std::string output = row.output.value_or("");  // none: it was pruned
    trial.output_characters +=
        std::count_if(output.begin(), output.end(), [](char c) { return (c & 0xc0) != 0x80; });
    if (row.usage) trial.output_tokens += row.usage->output_tokens;
  });
  std::set<std::string> cut_off, invalid;
  ReportReader(db).each_attempt(batch.id, [&](const AttemptRow& attempt) {
    if (attempt.outcome == "truncated") cut_off.insert(attempt.item_key);
    if (attempt.outcome == "invalid_output") invalid.insert(attempt.item_key);
    if (attempt.total_ms && attempt.outcome == "answered") trial.latencies.add(*attempt.total_ms);
  });
  trial.cut_off = static_cast<std::int64_t>(cut_off.size());
  trial.invalid = static_cast<std::int64_t>(invalid.size());
  add_cost(costs_pusd, trial);
  return trial;
}

std::string trial_table(const std::vector<TrialRow>& rows, const std::vector<Verdict>& verdicts) {
  Table table({"MODEL", ">DONE", ">CUT OFF", ">INVALID", ">REUSED", ">CHARACTERS", ">TOKENS",
               ">P50", ">P95", ">1,000 DOCUMENTS"});
  for (const TrialRow& row : rows) {
    table.add({row.model, share_text(row.done, row.documents), with_commas(row.cut_off),
               with_commas(row.invalid), with_commas(row.reused),
               with_commas(per_done(row.output_characters, row)),
               with_commas(per_done(row.output_tokens, row)), ms_text(row.latencies.percentile(50)),
               ms_text(row.latencies.percentile(95)), cost_text(row)});
  }
  std::string text = table.text();
  if (verdicts.empty()) return text;
  Table judged({"MODEL", "AGAINST", ">WINS", ">TIES", ">LOSSES"});
  for (const Verdict& verdict : verdicts) {
    const std::int64_t seen = verdict.wins + verdict.ties + verdict.losses;
    judged.add({verdict.first, verdict.second, share_text(verdict.wins, seen),
                share_text(verdict.ties, seen), share_text(verdict.losses, seen)});
  }
  return text + "\n" + judged.text();
}

std::string trial_json(const std::vector<TrialRow>& rows, const std::vector<Verdict>& verdicts) {
  nlohmann::ordered_json out = {{"models", nlohmann::ordered_json::array()},
                                {"verdicts", nlohmann::ordered_json::array()}};
  for (const TrialRow& row : rows) out["models"].push_back(json_of(row));
  for (const Verdict& verdict : verdicts) {
    out["verdicts"].push_back({{"model", verdict.first},
                               {"against", verdict.second},
                               {"wins", verdict.wins},
                               {"ties", verdict.ties},
                               {"losses", verdict.losses}});
  }
  return out.dump(2) + "\n";
}

}  // namespace docmill
