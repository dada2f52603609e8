#include "worker/bucket.h"

#include <algorithm>
#include <cmath>

namespace docmill {

Bucket::Bucket(double per_minute, double burst_seconds)
    : per_ms_(per_minute / 60'000),
      burst_(std::max(1.0, per_ms_ * 1000 * burst_seconds)),
      level_(burst_) {}

double Bucket::level_at(std::int64_t now_ms) const {
  if (now_ms <= as_of_ms_) return level_;
  return std::min(burst_, level_ + static_cast<double>(now_ms - as_of_ms_) * per_ms_);
}

std::int64_t Bucket::free_at_ms(std::int64_t now_ms) const {
  // A hair under one: a thousand additions of a thousandth need not make a whole one.
  const double missing = 1 - 1e-6 - level_at(now_ms);
  if (missing <= 0) return now_ms;
  constexpr double kLongestMs = 3.2e12;
  return now_ms + static_cast<std::int64_t>(std::min(kLongestMs, std::ceil(missing / per_ms_)));
}

void Bucket::take(std::int64_t now_ms, double units) {
  level_ = level_at(now_ms) - units;
  as_of_ms_ = std::max(as_of_ms_, now_ms);
}

void Bucket::give_back(std::int64_t now_ms, double units) {
  level_ = std::min(burst_, level_at(now_ms) + units);
  as_of_ms_ = std::max(as_of_ms_, now_ms);
}

void Bucket::lower_to(std::int64_t now_ms, double level) {
  level_ = std::min(level_at(now_ms), level);
  as_of_ms_ = std::max(as_of_ms_, now_ms);
}

void Bucket::set_rate(std::int64_t now_ms, double per_minute, double burst_units) {
  level_ = level_at(now_ms);
  as_of_ms_ = std::max(as_of_ms_, now_ms);
  per_ms_ = per_minute / 60'000;
  burst_ = std::max(1.0, burst_units);
  level_ = std::min(level_, burst_);
}

}  // namespace docmill
