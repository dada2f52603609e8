#pragma once

// What a row of a report adds up.

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "store/report_rows.h"

namespace docmill {

// Exact, in memory that is bounded by how far latencies spread, not by how many there are.
class Latencies {
 public:
  void add(std::int64_t ms);
  std::int64_t count() const { return count_; }
  std::int64_t sum_ms() const { return sum_ms_; }
  std::optional<double> average_ms() const;
  // Nearest rank: the smallest value that at least `percent` of all are not above.
  std::optional<std::int64_t> percentile(int percent) const;
  // How many there are of each, in any order.
  const std::unordered_map<std::int64_t, std::int64_t>& counts() const { return counts_; }

 private:
  std::unordered_map<std::int64_t, std::int64_t> counts_;
  std::int64_t count_ = 0;
  std::int64_t sum_ms_ = 0;
};

// Measured, possible and unpriced are three things and are never added up.
struct Figures {
  std::int64_t jobs = 0;
  std::int64_t done = 0;
  std::int64_t failed = 0;
  std::int64_t requests = 0;
  std::int64_t retries = 0;
  std::int64_t fallbacks = 0;
  std::int64_t sent_jobs = 0;  // documents with at least one request
  std::int64_t fallen_back_jobs = 0;
  std::int64_t reused = 0;  // documents whose result had been paid for before
  std::int64_t saved_pusd = 0;
  Usage tokens;
  std::int64_t cost_pusd = 0;
  std::int64_t possible_pusd = 0;
  std::int64_t unknown_requests = 0;
  std::int64_t unpriced_requests = 0;
  std::int64_t reported_pusd = 0;  // what providers themselves say, where they do
  std::int64_t reported_requests = 0;
  std::int64_t counted_requests = 0;  // whose tokens are known
  Latencies latencies;                // of answered requests
  std::int64_t answered_output_tokens = 0;
  std::vector<std::int64_t> what_if_pusd;  // by WhatIf: its known tokens on that model
};

// `cost_pusd` is the attempt's own or a new one; nothing: unpriced.
void count_attempt(Figures& figures, const CountedAttempt& attempt);
void count_job(Figures& figures, const CountedJob& job);

double fallback_rate(const Figures& figures);
// Nothing: no request of it had a price, and the sum of none is not the cost.
std::optional<std::int64_t> known_pusd(const Figures& figures);
// Per done document, rounded to a pico-USD. Nothing: none is done, or nothing had a price.
std::optional<std::int64_t> average_pusd(const Figures& figures);
// The cost weighed by latency: what was paid, times how much slower than the fastest it was.
std::optional<std::int64_t> effective_pusd(const Figures& figures,
                                           std::optional<double> fastest_ms);
// Of answered requests, while they were out.
std::optional<double> tokens_per_second(const Figures& figures);

}  // namespace docmill
