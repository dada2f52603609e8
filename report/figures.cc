#include "report/figures.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace docmill {

void Latencies::add(std::int64_t ms) {
  ++counts_[ms];
  ++count_;
  sum_ms_ += ms;
}

std::optional<double> Latencies::average_ms() const {
  if (count_ == 0) return std::nullopt;
  return static_cast<double>(sum_ms_) / static_cast<double>(count_);
}

std::optional<std::int64_t> Latencies::percentile(int percent) const {
  const std::int64_t rank = (count_ * percent + 99) / 100;
  std::int64_t seen = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> sorted(counts_.begin(), counts_.end());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [ms, count] : sorted) {
    seen += count;
    if (seen >= rank) return ms;
  }
  return std::nullopt;
}

void count_attempt(Figures& figures, const CountedAttempt& attempt) {
  figures.requests += attempt.requests;
  if (attempt.kind == "retry") ++figures.retries;
  if (attempt.kind == "fallback") ++figures.fallbacks;
  figures.cost_pusd += attempt.cost_pusd.value_or(0);
  const bool is_unknown = attempt.cost_basis == "unknown" || attempt.is_open;
  if (is_unknown) {
    ++figures.unknown_requests;
    figures.possible_pusd += attempt.ceiling_pusd.value_or(0);
  }
  if (attempt.cost_basis == "unpriced" || (is_unknown && !attempt.ceiling_pusd)) {
    figures.unpriced_requests += attempt.requests;
  }
  if (attempt.reported_pusd) {
    figures.reported_pusd += *attempt.reported_pusd;
    figures.reported_requests += attempt.requests;
  }
  if (attempt.usage) {
    add(figures.tokens, *attempt.usage);
    figures.counted_requests += attempt.requests;
  }
  if (attempt.outcome == "answered" && attempt.total_ms) {
    figures.latencies.add(*attempt.total_ms);
    if (attempt.usage) figures.answered_output_tokens += attempt.usage->output_tokens;
  }
}

void count_job(Figures& figures, const CountedJob& job) {
  if (job.is_reused) {
    ++figures.reused;
    figures.saved_pusd += job.saved_pusd;
  }
  if (job.is_superseded) return;
  ++figures.jobs;
  if (job.state == "done") ++figures.done;
  if (job.state == "failed") ++figures.failed;
  if (!job.model.empty()) ++figures.sent_jobs;
  if (job.fell_back) ++figures.fallen_back_jobs;
}

double fallback_rate(const Figures& figures) {
  if (figures.sent_jobs == 0) return 0;
  return static_cast<double>(figures.fallen_back_jobs) / static_cast<double>(figures.sent_jobs);
}

std::optional<std::int64_t> known_pusd(const Figures& figures) {
  if (figures.cost_pusd == 0 && figures.unpriced_requests > 0) return std::nullopt;
  return figures.cost_pusd;
}

std::optional<std::int64_t> average_pusd(const Figures& figures) {
  if (figures.done == 0 || !known_pusd(figures)) return std::nullopt;
  return (figures.cost_pusd + figures.done / 2) / figures.done;
}

std::optional<std::int64_t> effective_pusd(const Figures& figures,
                                           std::optional<double> fastest_ms) {
  const auto average = figures.latencies.average_ms();
  if (!average || !fastest_ms || !known_pusd(figures)) return std::nullopt;
  const auto cost = static_cast<long double>(figures.cost_pusd);
  return static_cast<std::int64_t>(std::llround(cost * *average / *fastest_ms));
}

std::optional<double> tokens_per_second(const Figures& figures) {
  const std::int64_t ms = figures.latencies.sum_ms();
  if (ms == 0) return std::nullopt;
  return 1000 * static_cast<double>(figures.answered_output_tokens) / static_cast<double>(ms);
}

}  // namespace docmill
