// The bucket's level is brought up to date whenever somebody asks.

#include "simulate/rate_bucket.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace docmill::sim {

using std::chrono::microseconds;

RateBucket::RateBucket(std::int64_t requests_per_minute, std::int64_t burst, TimePoint now)
    : requests_per_minute_(requests_per_minute),
      size_(static_cast<double>(burst > 0 ? burst
                                          : std::max<std::int64_t>(1, requests_per_minute / 60))),
      level_(size_),
      filled_at_(now) {}

RateBucket::Grant RateBucket::take(TimePoint now) {
  const double per_us = static_cast<double>(requests_per_minute_) / 60e6;
  const double passed_us = std::chrono::duration<double, std::micro>(now - filled_at_).count();
  level_ = std::min(size_, level_ + std::max(0.0, passed_us) * per_us);
  filled_at_ = now;
  const bool allowed = level_ >= 1;
  if (allowed) level_ -= 1;
  const auto time_for = [&](double requests) {
    return microseconds(static_cast<std::int64_t>(std::ceil(std::max(0.0, requests) / per_us)));
  };
  return {allowed, requests_per_minute_, static_cast<std::int64_t>(level_), time_for(1 - level_),
          time_for(size_ - level_)};
}

std::string go_duration(microseconds duration) {
  const std::int64_t ms = (duration.count() + 999) / 1000;
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t minutes = ms / 60'000;
  std::string text;
  if (minutes >= 60) text += fmt::format("{}h", minutes / 60);
  if (minutes > 0) text += fmt::format("{}m", minutes % 60);
  text += fmt::format("{}", ms % 60'000 / 1000);
  if (ms % 1000 == 0) return text + "s";
  std::string fraction = fmt::format(".{:03}", ms % 1000);
  while (fraction.back() == '0') fraction.pop_back();
  return text + fraction + "s";
}

}  // namespace docmill::sim
