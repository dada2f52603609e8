#include "worker/lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace docmill {
namespace {

// What a failing model looks like, as against a failing document or a full lane.
bool speaks_against_model(Ending ending) {
  switch (ending) {
    case Ending::not_sent:
    case Ending::overloaded:
    case Ending::server_error:
    case Ending::cut:
    case Ending::bad_reply:
      return true;
    default:
      return false;
  }
}

// A wait or an end by our own hand says nothing about the model's health.
bool says_nothing(Ending ending) {
  return ending == Ending::rate_limited || ending == Ending::aborted;
}

}  // namespace

Bucket::Bucket(double per_minute, double burst_seconds)
    : per_ms_(per_minute / 60'000),
      burst_(std::max(1.0, per_ms_ * 1000 * burst_seconds)),
      level_(burst_) {}

double Bucket::level_at(std::int64_t now_ms) const {
  if (now_ms <= as_of_ms_) return level_;
  return std::min(burst_, level_ + static_cast<double>(now_ms - as_of_ms_) * per_ms_);
}

std::int64_t Bucket::free_at_ms(std::int64_t now_ms) const {
  const double missing = 1 - level_at(now_ms);
  if (missing <= 0) return now_ms;
  return now_ms + static_cast<std::int64_t>(std::ceil(missing / per_ms_));
}

void Bucket::take(std::int64_t now_ms) {
  level_ = level_at(now_ms) - 1;
  as_of_ms_ = std::max(as_of_ms_, now_ms);
}

Lane::Lane(const Model& model, Limits& provider_limits, Options options)
    : model_(model), provider_(provider_limits), options_(options) {
  own_.name = model.key;
  own_.in_flight = model.in_flight;
  if (model.requests_per_minute) own_.requests.emplace(*model.requests_per_minute, 2.0);
}

std::optional<Refusal> Lane::refusal_of(const Limits& limits, std::int64_t now_ms) const {
  if (limits.pause) {
    const Pause& pause = *limits.pause;
    if (pause.is_probing || now_ms < pause.probe_at_ms) {
      return Refusal{fmt::format("{} paused: {}", limits.name, pause.reason),
                     pause.is_probing ? 0 : pause.probe_at_ms, true, true};
    }
  }
  if (limits.in_flight && limits.flying >= *limits.in_flight) {
    return Refusal{fmt::format("in flight, {}", limits.name), 0, false, false};
  }
  if (limits.requests) {
    const std::int64_t free_at_ms = limits.requests->free_at_ms(now_ms);
    if (free_at_ms > now_ms) {
      return Refusal{fmt::format("requests/min, {}", limits.name), free_at_ms, false, false};
    }
  }
  return std::nullopt;
}

std::optional<Refusal> Lane::refusal(std::int64_t now_ms) const {
  if (auto refused = refusal_of(provider_, now_ms)) return refused;
  if (auto refused = refusal_of(own_, now_ms)) return refused;
  if (breaker_open_until_ms_ != 0 && (is_probing_breaker_ || now_ms < breaker_open_until_ms_)) {
    return Refusal{
        fmt::format("{} rests after {} failures in a row", model_.key, failures_in_a_row_),
        is_probing_breaker_ ? 0 : breaker_open_until_ms_, true, false};
  }
  if (now_ms < rests_until_ms_) {
    return Refusal{fmt::format("{} asked to wait", model_.key), rests_until_ms_, false, false};
  }
  return std::nullopt;
}

void Lane::start(std::int64_t now_ms) {
  for (Limits* limits : {&provider_, &own_}) {
    ++limits->flying;
    if (limits->requests) limits->requests->take(now_ms);
    if (limits->pause) limits->pause->is_probing = true;
  }
  if (breaker_open_until_ms_ != 0) is_probing_breaker_ = true;
}

void Lane::end(const Outcome& outcome, const Decision& decision, std::int64_t now_ms) {
  for (Limits* limits : {&provider_, &own_}) {
    CHECK(limits->flying > 0);
    --limits->flying;
  }
  rests_until_ms_ = std::max(rests_until_ms_, decision.lane_rests_until_ms);
  if (says_nothing(outcome.ending)) {
    is_probing_breaker_ = false;
    return;
  }
  if (speaks_against_model(outcome.ending)) {
    ++failures_in_a_row_;
    if (is_probing_breaker_ || failures_in_a_row_ >= options_.breaker_failures) {
      breaker_open_until_ms_ = now_ms + options_.breaker_cooldown_ms;
    }
  } else {
    failures_in_a_row_ = 0;
    breaker_open_until_ms_ = 0;
  }
  is_probing_breaker_ = false;
}

void Lane::remember(const std::vector<std::int64_t>& sent_at_ms) {
  for (const std::int64_t at_ms : sent_at_ms) {
    if (own_.requests) own_.requests->take(at_ms);
    if (provider_.requests) provider_.requests->take(at_ms);
  }
}

}  // namespace docmill
