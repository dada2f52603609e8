#include "worker/limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace docmill {
namespace {

// A strict provider counts jitter against us. So much slower, step by step, and no slower than half
// the configured rate: then the figure in the config is wrong, and 429 says so.
constexpr double kStricter = 0.985;
constexpr double kStrictest = 0.5;
constexpr double kSmallestBurst = 1.2;
constexpr std::int64_t kRelaxAfterMs = 600'000;

// A limit without a word on when it is full again is taken for a minute's.
constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

double Load::of(Meter meter) const {
  switch (meter) {
    case Meter::requests:
      return 1;
    case Meter::tokens:
      return input_tokens + cached_tokens + output_tokens;
    case Meter::input_tokens:
      return input_tokens;
    case Meter::output_tokens:
      return output_tokens;
  }
  return 0;
}

Limits::Limits(std::string limits_name, const Rates& rates, double burst_seconds,
               std::optional<int> in_flight)
    : name(std::move(limits_name)), in_flight_(in_flight) {
  const std::array<std::optional<double>, kMeters> given = {
      rates.requests, rates.tokens, rates.input_tokens, rates.output_tokens};
  for (std::size_t i = 0; i < kMeters; ++i) {
    if (!given[i]) continue;
    gauges_[i].configured.emplace(*given[i], burst_seconds);
    gauges_[i].configured_per_minute = *given[i];
  }
}

void Limits::begin(std::int64_t now_ms, const std::vector<SentRow>& sent) {
  for (std::size_t i = 0; i < kMeters; ++i) {
    if (!gauges_[i].configured) continue;
    Bucket& bucket = *gauges_[i].configured;
    for (const SentRow& row : sent) {
      const Load load{static_cast<double>(row.input_tokens), static_cast<double>(row.output_tokens),
                      static_cast<double>(row.cached_tokens)};
      // The clock of the last life may have been ahead of ours.
      bucket.take(std::min(row.opened_at_ms, now_ms), load.of(static_cast<Meter>(i)));
    }
    bucket.lower_to(now_ms, 1);
  }
}

std::optional<Refusal> Limits::refusal(std::int64_t now_ms) const {
  if (pause && (pause->is_probing || now_ms < pause->probe_at_ms)) {
    return Refusal{fmt::format("{} paused: {}", name, pause->reason),
                   pause->is_probing ? 0 : pause->probe_at_ms, true, true};
  }
  if (in_flight_ && flying_ >= *in_flight_) {
    return Refusal{fmt::format("in flight of {}, {}", name, *in_flight_), 0, false, false};
  }
  std::optional<Refusal> latest;
  for (std::size_t i = 0; i < kMeters; ++i) {
    const Gauge& gauge = gauges_[i];
    for (const std::optional<Bucket>* bucket : {&gauge.configured, &gauge.taught}) {
      if (!*bucket) continue;
      const std::int64_t free_at_ms = (*bucket)->free_at_ms(now_ms);
      if (free_at_ms <= now_ms || (latest && free_at_ms <= latest->until_ms)) continue;
      latest = Refusal{fmt::format("{} of {}{}", kMeterNames[i], name,
                                   bucket == &gauge.taught ? ", as its replies say" : ""),
                       free_at_ms, false, false};
    }
  }
  return latest;
}

void Limits::start(std::int64_t now_ms, const Load& load) {
  ++flying_;
  if (stricter_at_ms_ != 0 && now_ms - stricter_at_ms_ >= kRelaxAfterMs) {
    stricter_at_ms_ = now_ms;
    scale(now_ms, 1 / kStricter, 1);
  }
  if (pause) pause->is_probing = true;
  for (std::size_t i = 0; i < kMeters; ++i) {
    const double units = load.of(static_cast<Meter>(i));
    if (gauges_[i].configured) gauges_[i].configured->take(now_ms, units);
    if (gauges_[i].taught) gauges_[i].taught->take(now_ms, units);
  }
}

void Limits::end() {
  CHECK(flying_ > 0);
  --flying_;
}

void Limits::correct(std::int64_t now_ms, const Load& reserved, const Load& used) {
  for (std::size_t i = 0; i < kMeters; ++i) {
    const auto meter = static_cast<Meter>(i);
    const double unused = reserved.of(meter) - used.of(meter);
    if (gauges_[i].configured) gauges_[i].configured->give_back(now_ms, unused);
    if (gauges_[i].taught) gauges_[i].taught->give_back(now_ms, unused);
  }
}

// A limit is a minute's, unless the time until it is full again says otherwise. That time is often
// in whole seconds, so it is believed only when it is long: when much of the limit is used, or when
// what is missing takes over a minute to come back (a day's limit).
double Limits::taught_per_minute(const RateHint& hint, const std::optional<Bucket>& taught) {
  const double used = hint.limit - hint.remaining;
  const std::int64_t full_in_ms = hint.full_in_ms.value_or(0);
  if (full_in_ms > kMinuteMs + 1000 || (full_in_ms > 0 && used * 2 >= hint.limit)) {
    return std::max(used, 1.0) * kMinuteMs / static_cast<double>(full_in_ms);
  }
  // A day's limit that is nearly full does not look like one.
  return taught && used * 2 < hint.limit && taught->burst() == hint.limit ? taught->per_minute()
                                                                          : hint.limit;
}

// Replies come back out of order, and each tells of the moment at which it was begun. So what left
// later is taken off, and the level only ever falls to what is said; it rises with time.
void Limits::learn(std::int64_t now_ms, const RateHints& hints, int unseen_requests,
                   const Load& unseen) {
  for (std::size_t i = 0; i < kMeters; ++i) {
    if (!hints[i]) continue;
    const RateHint& hint = *hints[i];
    std::optional<Bucket>& taught = gauges_[i].taught;
    const double per_minute = taught_per_minute(hint, taught);
    const bool is_new = !taught;
    if (is_new) taught.emplace(per_minute, 1);
    taught->set_rate(now_ms, per_minute, hint.limit);
    if (is_new) taught->give_back(now_ms, hint.limit);
    const auto meter = static_cast<Meter>(i);
    const double later = meter == Meter::requests ? unseen_requests : unseen.of(meter);
    // Whatever is said, the provider is asked again within a minute: a header may be wrong.
    taught->lower_to(now_ms, std::max(hint.remaining - later, 1 - per_minute));
  }
}

void Limits::be_stricter(std::int64_t now_ms) {
  stricter_at_ms_ = now_ms;
  scale(now_ms, kStricter, 0.5);
}

void Limits::scale(std::int64_t now_ms, double factor, double burst_factor) {
  for (Gauge& gauge : gauges_) {
    if (!gauge.configured) continue;
    const double per_minute =
        std::clamp(gauge.configured->per_minute() * factor,
                   gauge.configured_per_minute * kStrictest, gauge.configured_per_minute);
    const double burst = std::max(kSmallestBurst, gauge.configured->burst() * burst_factor);
    gauge.configured->set_rate(now_ms, per_minute, burst);
  }
}

bool Limits::has_request_rate() const {
  const Gauge& gauge = gauges_[static_cast<std::size_t>(Meter::requests)];
  constexpr double kNearTheFloor = kStrictest + 0.01;
  return gauge.configured &&
         gauge.configured->per_minute() > gauge.configured_per_minute * kNearTheFloor;
}

}  // namespace docmill
