#include "worker/pace.h"

#include <algorithm>

namespace docmill {
namespace {

// Below these a rate cannot be told from chance.
constexpr std::int64_t kShortestStretchMs = 900;
constexpr std::int64_t kFewestLetIn = 3;
// Long enough for a figure that is right to a percent; short enough to follow a changed limit.
constexpr std::int64_t kLongestStretchMs = 120'000;
constexpr double kCaution = 0.97;
constexpr double kGrowthPerSecond = 0.001;  // a percent in ten seconds
constexpr double kBurstSeconds = 0.5;
constexpr std::int64_t kForgottenMs = 1'800'000;
constexpr std::int64_t kUpdateEveryMs = 250;
// When nothing was sent for so long, the time says nothing about the limit.
constexpr std::int64_t kIdleMs = 10'000;
constexpr double kRampPerMinute = 30'000;  // one in 2 ms
constexpr double kRampAtOnce = 8;
constexpr double kRampAfterRefusalPerMinute = 1'200;  // one in 50 ms
constexpr std::int64_t kRampDoublesMs = 40;
constexpr double kRampEndsPerMinute = 2'000'000;

}  // namespace

void Pace::begin_ramp(std::int64_t now_ms, double per_minute, double at_once) {
  ramp_.emplace(per_minute, 0);
  ramp_->set_rate(now_ms, per_minute, at_once);
  ramp_->give_back(now_ms, at_once);
  ramp_doubled_ms_ = 0;
}

std::int64_t Pace::free_at_ms(std::int64_t now_ms) {
  while (ramp_ && ramp_doubled_ms_ != 0 && now_ms - ramp_doubled_ms_ >= kRampDoublesMs) {
    const double per_minute = 2 * ramp_->per_minute();
    ramp_doubled_ms_ += kRampDoublesMs;
    ramp_->set_rate(ramp_doubled_ms_, per_minute, ramp_->burst());
    if (per_minute >= kRampEndsPerMinute) ramp_.reset();
  }
  if (!bucket_) return ramp_ ? ramp_->free_at_ms(now_ms) : now_ms;
  if (now_ms - last_refusal_ms_ > kForgottenMs) {
    bucket_.reset();
    first_refusal_ms_ = 0;
    return now_ms;
  }
  if (now_ms - updated_ms_ >= kUpdateEveryMs) {
    updated_ms_ = now_ms;
    const double quiet_s = static_cast<double>(now_ms - last_refusal_ms_) / 1000;
    const double per_minute = learnt_per_minute_ * (kCaution + kGrowthPerSecond * quiet_s);
    bucket_->set_rate(now_ms, per_minute, per_minute / 60 * kBurstSeconds);
  }
  return bucket_->free_at_ms(now_ms);
}

void Pace::started(std::int64_t now_ms) {
  const double per_minute = this->per_minute().value_or(60'000);
  const auto idle_ms = std::max(kIdleMs, static_cast<std::int64_t>(3 * 60'000 / per_minute));
  if (now_ms - last_start_ms_ > idle_ms) {
    first_refusal_ms_ = 0;
    begin_ramp(now_ms, kRampPerMinute, kRampAtOnce);
  }
  last_start_ms_ = now_ms;
  ++let_in_;
  if (ramp_) {
    ramp_->take(now_ms, 1);
    if (ramp_doubled_ms_ == 0) ramp_doubled_ms_ = now_ms;
  }
  if (bucket_) bucket_->take(now_ms, 1);
}

bool Pace::refused(std::int64_t started_at_ms, std::int64_t now_ms) {
  // It was counted as let in when it was started.
  if (first_refusal_ms_ != 0 && started_at_ms >= first_refusal_ms_ && let_in_ > 0) --let_in_;
  const bool is_new = first_refusal_ms_ == 0 || started_at_ms >= last_refusal_ms_;
  if (!is_new) return false;
  if (first_refusal_ms_ == 0) {
    first_refusal_ms_ = now_ms;
    let_in_ = 0;
  } else {
    learn(now_ms);
  }
  last_refusal_ms_ = now_ms;
  begin_ramp(now_ms, kRampAfterRefusalPerMinute, 1);
  return true;
}

void Pace::learn(std::int64_t now_ms) {
  const std::int64_t stretch_ms = now_ms - first_refusal_ms_;
  if (stretch_ms < kShortestStretchMs || let_in_ < kFewestLetIn) return;
  if (stretch_ms > kLongestStretchMs && bucket_) {
    // The limit may have changed meanwhile; it is a little below what was sent last.
    learnt_per_minute_ = bucket_->per_minute();
  } else {
    learnt_per_minute_ = static_cast<double>(let_in_) * 60'000 / static_cast<double>(stretch_ms);
  }
  updated_ms_ = now_ms;
  const double per_minute = learnt_per_minute_ * kCaution;
  if (!bucket_) bucket_.emplace(per_minute, kBurstSeconds);
  bucket_->set_rate(now_ms, per_minute, per_minute / 60 * kBurstSeconds);
  bucket_->lower_to(now_ms, 0);
  if (stretch_ms > kLongestStretchMs) {
    first_refusal_ms_ = now_ms;
    let_in_ = 0;
  }
}

std::optional<double> Pace::per_minute() const {
  if (!bucket_) return std::nullopt;
  return bucket_->per_minute();
}

}  // namespace docmill
