#include "worker/pace.h"

#include <algorithm>
#include <cmath>

namespace docmill {
namespace {

// Below these a rate cannot be told from chance.
constexpr std::int64_t kShortestStretchMs = 900;
constexpr std::int64_t kFewestLetIn = 3;
constexpr std::int64_t kEnoughLetIn = 30;
constexpr double kCaution = 0.97;
constexpr double kBurstSeconds = 0.5;
constexpr std::int64_t kUpdateEveryMs = 250;
// Three of a hundred are too many; two, when they come with a time to wait.
constexpr std::size_t kTooManyRefusals = 3;
constexpr std::int64_t kOfRequests = 100;
// What was let in over a longer time may have been let in at different limits.
constexpr std::int64_t kLongestStretchMs = 60'000;
// Under so much of what was learnt a real limit would not refuse.
constexpr double kSurelyBelow = 0.99;
// When nothing was sent for so long, the time says nothing about the limit.
constexpr std::int64_t kIdleGapMs = 10'000;
constexpr double kRampPerMinute = 6'000;  // one in 10 ms
constexpr double kRampAtOnce = 8;
constexpr double kRampAfterRefusalPerMinute = 1'200;  // one in 50 ms
constexpr std::int64_t kRampDoublesMs = 40;
constexpr std::int64_t kLongestRefusalMs = 500;
constexpr double kRampEndsPerMinute = 2'000'000;
constexpr double kFastestPerMinute = 60'000'000;

// How fast the pace grows at first, for how long, and then in what time it doubles.
struct Growth {
  double per_second;
  double steady_s;
  double doubles_s;
};
constexpr Growth kLow{0.01, 20, 4};
constexpr Growth kFair{0.001, 12, 8};
constexpr Growth kHigh{0.001, 40, 8};
// Grown by so much, what was learnt is over.
constexpr double kOutgrown = 1.15;

}  // namespace

double Pace::growth() const {
  const Growth& how = trust_ == Trust::low ? kLow : trust_ == Trust::fair ? kFair : kHigh;
  const double since_s = static_cast<double>(paced_ms_) / 1000;
  const double steady = kCaution + how.per_second * std::min(since_s, how.steady_s);
  const double over_s = since_s - how.steady_s;
  return over_s <= 0 ? steady : steady * std::exp2(std::min(over_s / how.doubles_s, 40.0));
}

bool Pace::has_outgrown() const {
  return bucket_ && growth() > kOutgrown;
}

void Pace::begin_ramp(std::int64_t now_ms, double per_minute, double at_once) {
  ramp_.emplace(per_minute, 0);
  ramp_->set_rate(now_ms, per_minute, at_once);
  ramp_->give_back(now_ms, at_once);
  ramp_doubled_ms_ = 0;
}

// Not before a refusal of what went at the last rate would be known.
std::int64_t Pace::ramp_doubles_ms() const {
  return std::max(kRampDoublesMs, 2 * refusal_ms_);
}

std::int64_t Pace::free_at_ms(std::int64_t now_ms) {
  while (ramp_ && ramp_doubled_ms_ != 0 && now_ms - ramp_doubled_ms_ >= ramp_doubles_ms()) {
    const double per_minute = 2 * ramp_->per_minute();
    ramp_doubled_ms_ += ramp_doubles_ms();
    ramp_->set_rate(ramp_doubled_ms_, per_minute, ramp_->burst());
    if (per_minute >= kRampEndsPerMinute) ramp_.reset();
  }
  if (!bucket_) return ramp_ ? ramp_->free_at_ms(now_ms) : now_ms;
  if (now_ms - updated_ms_ >= kUpdateEveryMs) {
    // Only while it is put to the test.
    const double interval_ms = 60'000 / bucket_->per_minute();
    const bool is_used =
        static_cast<double>(now_ms - last_start_ms_) <= std::max(1000.0, 3 * interval_ms);
    if (is_used) paced_ms_ += std::min<std::int64_t>(now_ms - updated_ms_, 1000);
    updated_ms_ = now_ms;
    const double per_minute = std::min(learnt_per_minute_ * growth(), kFastestPerMinute);
    bucket_->set_rate(now_ms, per_minute, per_minute / 60 * kBurstSeconds);
  }
  return bucket_->free_at_ms(now_ms);
}

void Pace::started(std::int64_t now_ms) {
  const double per_minute = this->per_minute().value_or(60'000);
  const auto gap_ms = std::max(kIdleGapMs, static_cast<std::int64_t>(3 * 60'000 / per_minute));
  if (now_ms - last_start_ms_ > gap_ms) {
    stretch_number_ = 0;
    begin_ramp(now_ms, kRampPerMinute, kRampAtOnce);
  }
  last_start_ms_ = now_ms;
  ++started_;
  if (ramp_) {
    ramp_->take(now_ms, 1);
    if (ramp_doubled_ms_ == 0) ramp_doubled_ms_ = now_ms;
  }
  if (bucket_) bucket_->take(now_ms, 1);
}

bool Pace::refused(std::int64_t number, std::int64_t started_at_ms, bool rests,
                   std::int64_t now_ms) {
  refusal_ms_ = std::clamp<std::int64_t>(now_ms - started_at_ms, 0, kLongestRefusalMs);
  if (!bucket_ && rests) begin_ramp(now_ms, kRampAfterRefusalPerMinute, 1);
  if (stretch_number_ != 0 && number > stretch_number_) ++refused_in_stretch_;
  // What left before the last lesson says nothing of the pace since then.
  if (started_at_ms >= learnt_ms_) refusals_.push_back(started_);
  while (!refusals_.empty() && refusals_.front() < started_ - kOfRequests) refusals_.pop_front();
  const bool is_too_many = refusals_.size() + (rests ? 1 : 0) >= kTooManyRefusals;
  if (stretch_number_ == 0) {
    begin_stretch(number, started_at_ms);
  } else if (started_at_ms >= learnt_ms_ &&
             (is_too_many || has_outgrown() || (bucket_ && trust_ == Trust::low))) {
    learn(number, started_at_ms, now_ms);
  }
  rests_in_stretch_ |= rests;
  const bool is_new = last_refusal_ms_ == 0 || started_at_ms >= last_refusal_ms_;
  if (is_new) last_refusal_ms_ = now_ms;
  return is_new;
}

void Pace::learn(std::int64_t number, std::int64_t started_at_ms, std::int64_t now_ms) {
  if (has_outgrown()) {
    // For most of the time it went slower than the limit. The limit is about what it is now.
    set_learnt(bucket_->per_minute(), now_ms);
    bucket_->lower_to(now_ms, 0);
    trust_ = Trust::low;
    begin_stretch(number, started_at_ms);
    return;
  }
  if (trust_ != Trust::low && bucket_->per_minute() < learnt_per_minute_ * kSurelyBelow) {
    set_learnt(2 * learnt_per_minute_, now_ms);
    trust_ = Trust::low;
    begin_stretch(number, started_at_ms);
    return;
  }
  const std::int64_t stretch_ms = started_at_ms - stretch_began_ms_;
  const std::int64_t let_in = number - stretch_number_ - refused_in_stretch_;
  if (stretch_ms < kShortestStretchMs || let_in < kFewestLetIn) return;
  double per_minute = static_cast<double>(let_in) * 60'000 / static_cast<double>(stretch_ms);
  // What was just refused is a little above the limit as it is now.
  if (bucket_ && stretch_ms > kLongestStretchMs) per_minute = bucket_->per_minute();
  // Before there was a pace, what came back while nothing was sent may have been lost: the bucket
  // was full. So the first figure is a beginning.
  const bool is_first = !bucket_;
  set_learnt(per_minute, now_ms);
  bucket_->lower_to(now_ms, 0);
  const bool is_enough = !is_first && let_in >= kEnoughLetIn;
  trust_ = !is_enough ? Trust::low : rests_in_stretch_ ? Trust::fair : Trust::high;
  if (is_first || is_enough) begin_stretch(number, started_at_ms);
}

void Pace::set_learnt(double per_minute, std::int64_t now_ms) {
  learnt_per_minute_ = per_minute;
  learnt_ms_ = updated_ms_ = now_ms;
  paced_ms_ = 0;
  const double cautious = per_minute * kCaution;
  if (!bucket_) bucket_.emplace(cautious, kBurstSeconds);
  bucket_->set_rate(now_ms, cautious, cautious / 60 * kBurstSeconds);
  refusals_.clear();
}

void Pace::begin_stretch(std::int64_t number, std::int64_t started_at_ms) {
  stretch_number_ = number;
  stretch_began_ms_ = started_at_ms;
  refused_in_stretch_ = 0;
  rests_in_stretch_ = false;
}

std::optional<double> Pace::per_minute() const {
  if (!bucket_) return std::nullopt;
  return bucket_->per_minute();
}

}  // namespace docmill
