#include "worker/lane.h"

#include <fmt/format.h>

#include <algorithm>

#include "llm/repair.h"

namespace docmill {
namespace {

constexpr double kLowered = 0.8;
constexpr double kFirst = 8;
constexpr double kMorePerAnswer = 1;  // twice as many after each round trip
constexpr double kBegun = 128;        // over what a provider has by default
constexpr std::int64_t kDoubleEveryMs = 500;
// How long a lane rests after 429 without a word on it; twice as long each time in a row.
constexpr std::int64_t kShortestRestMs = 1000;
constexpr std::int64_t kLongestRestMs = 30'000;
// A quarter of the last twenty.
constexpr std::int64_t kCrowdOf = 20;
constexpr std::int64_t kCrowdShare = 4;
constexpr std::size_t kCrowdRemembered = 64;
// So many requests in a row that were "wrong" are a fault of how we write them, not of documents.
constexpr int kBadRequestsInARow = 20;
constexpr double kOldTokens = 0.9;  // of the running mean, against the newest
constexpr double kLeastTokens = 0.2;
constexpr double kMostTokens = 5;

// What a failing model looks like, as against a failing document or a full lane.
Breaker::Verdict verdict_on_model(Ending ending) {
  switch (ending) {
    case Ending::overloaded:
    case Ending::server_error:
    case Ending::cut:
    case Ending::bad_reply:
    case Ending::too_slow:
    case Ending::model_changed:
      return Breaker::Verdict::failed;
    // A wait, or an end by our own hand.
    case Ending::not_sent:
    case Ending::rate_limited:
    case Ending::aborted:
    case Ending::repaired:
      return Breaker::Verdict::nothing;
    default:
      return Breaker::Verdict::well;
  }
}

Breaker::Verdict verdict_on_host(Ending ending) {
  if (ending == Ending::not_sent) return Breaker::Verdict::failed;
  return ending == Ending::aborted ? Breaker::Verdict::nothing : Breaker::Verdict::well;
}

}  // namespace

Lane::Lane(const Model& model, Limits& provider_limits, Breaker& host, Breaker::Options breaker,
           double burst_seconds)
    : model_(model),
      provider_(provider_limits),
      host_(host),
      own_(model.key, model.per_minute, burst_seconds, model.in_flight),
      breaker_(breaker),
      bad_requests_({kBadRequestsInARow, breaker.cooldown_ms}),
      form_(form_of(model)) {}

std::optional<Refusal> Lane::refusal(std::int64_t now_ms) {
  if (auto refused = provider_.refusal(now_ms)) return refused;
  if (auto refused = own_.refusal(now_ms)) return refused;
  if (const auto until_ms = host_.closed_until_ms(now_ms)) {
    return Refusal{fmt::format("no connection to {}, {} times in a row", provider_.name,
                               host_.failures_in_a_row()),
                   *until_ms, true, false};
  }
  if (const auto until_ms = breaker_.closed_until_ms(now_ms)) {
    return Refusal{fmt::format("{} rests after {} failures in a row", model_.key,
                               breaker_.failures_in_a_row()),
                   *until_ms, true, false};
  }
  if (const auto until_ms = bad_requests_.closed_until_ms(now_ms)) {
    return Refusal{fmt::format("{} rests: it called {} requests in a row wrong", model_.key,
                               bad_requests_.failures_in_a_row()),
                   *until_ms, true, false};
  }
  if (now_ms < rests_until_ms_) return Refusal{rests_for_, rests_until_ms_, false, false};
  while (is_beginning_ && doubles_at_ms_ != 0 && now_ms >= doubles_at_ms_) {
    doubles_at_ms_ += kDoubleEveryMs;
    rise(*in_flight_now_);
  }
  if (in_flight_now_ && own_.flying() >= static_cast<int>(*in_flight_now_)) {
    const int most = static_cast<int>(*in_flight_now_);
    const std::string why =
        is_beginning_ ? fmt::format("the first answers of {}", model_.key)
                      : fmt::format("in flight of {}, lowered to {} by overload", model_.key, most);
    return Refusal{why, is_beginning_ ? doubles_at_ms_ : 0, false, false};
  }
  const bool is_configured = own_.has_request_rate() || provider_.has_request_rate();
  if (const std::int64_t free_at_ms = pace_.free_at_ms(now_ms);
      free_at_ms > now_ms && !is_configured) {
    return Refusal{fmt::format("the pace of {}, learnt from its 429s: {:.0f} requests/min",
                               model_.key, pace_.per_minute().value_or(0)),
                   free_at_ms, false, false};
  }
  return std::nullopt;
}

Departure Lane::start(std::int64_t now_ms, const Load& load) {
  if (is_beginning_ && doubles_at_ms_ == 0) doubles_at_ms_ = now_ms + kDoubleEveryMs;
  Departure departure{next_order_++,         now_ms,       load, breaker_.start(),
                      bad_requests_.start(), host_.start()};
  provider_.start(now_ms, load);
  own_.start(now_ms, load);
  pace_.started(now_ms);
  flying_.emplace(departure.order, departure);
  return departure;
}

void Lane::end(const Departure& departure, const Outcome& outcome, const Decision& decision,
               const std::optional<Usage>& usage, const RateHints& hints, std::int64_t now_ms) {
  provider_.end();
  own_.end();
  flying_.erase(departure.order);
  end_breakers(departure, outcome.ending, now_ms);
  correct(departure, outcome, usage, now_ms);
  learn(departure, hints, now_ms);
  adapt(departure, outcome, now_ms);
  rest(decision.lane_rests_until_ms, fmt::format("{} asked to wait", model_.key));
}

void Lane::end_breakers(const Departure& departure, Ending ending, std::int64_t now_ms) {
  host_.end(departure.host, verdict_on_host(ending), now_ms);
  const Breaker::Verdict verdict = verdict_on_model(ending);
  breaker_.end(departure.model, verdict, now_ms);
  const bool is_answer = verdict == Breaker::Verdict::well;
  bad_requests_.end(departure.requests,
                    ending == Ending::bad_request ? Breaker::Verdict::failed
                    : is_answer                   ? Breaker::Verdict::well
                                                  : Breaker::Verdict::nothing,
                    now_ms);
}

// Reserved tokens that were not used come back. What may have been worked on stays taken.
void Lane::correct(const Departure& departure, const Outcome& outcome,
                   const std::optional<Usage>& usage, std::int64_t now_ms) {
  Load used;
  if (usage) {
    used.input_tokens = static_cast<double>(usage->fresh_tokens + usage->cache_write_tokens);
    used.cached_tokens = static_cast<double>(usage->cached_tokens);
    used.output_tokens = static_cast<double>(usage->output_tokens);
    if (departure.load.input_tokens >= 1) {
      const double expected = departure.load.input_tokens / tokens_per_estimate_;
      const double ratio = static_cast<double>(usage->input_tokens()) / expected;
      tokens_per_estimate_ = std::clamp(
          kOldTokens * tokens_per_estimate_ + (1 - kOldTokens) * ratio, kLeastTokens, kMostTokens);
    }
  } else if (outcome.may_be_billed) {
    used = departure.load;
  }
  provider_.correct(now_ms, departure.load, used);
  own_.correct(now_ms, departure.load, used);
}

void Lane::learn(const Departure& departure, const RateHints& hints, std::int64_t now_ms) {
  if (std::none_of(hints.begin(), hints.end(), [](const auto& hint) { return hint.has_value(); })) {
    return;
  }
  int unseen = 0;
  Load load;
  for (auto it = flying_.upper_bound(departure.order); it != flying_.end(); ++it) {
    ++unseen;
    load.input_tokens += it->second.load.input_tokens;
    load.output_tokens += it->second.load.output_tokens;
  }
  own_.learn(now_ms, hints, unseen, load);
}

// Whether a good part of what left around it was refused, too. Some providers refuse a few requests
// whatever their number; that is no reason to send fewer.
bool Lane::is_crowded(std::int64_t order) {
  crowd_.push_back(order);
  if (crowd_.size() > kCrowdRemembered) crowd_.pop_front();
  const std::int64_t refused = std::count_if(crowd_.begin(), crowd_.end(), [&](std::int64_t other) {
    return other <= order && other > order - kCrowdOf;
  });
  return refused >= 2 && refused * kCrowdShare >= std::min(kCrowdOf, order);
}

void Lane::rest(std::int64_t until_ms, std::string why) {
  if (until_ms <= rests_until_ms_) return;
  rests_until_ms_ = until_ms;
  rests_for_ = std::move(why);
}

void Lane::adapt(const Departure& departure, const Outcome& outcome, std::int64_t now_ms) {
  if (outcome.ending == Ending::answered || outcome.ending == Ending::changed_structure) {
    rests_ = 0;
    if (is_beginning_) {
      rise(kMorePerAnswer);
    } else if (in_flight_now_) {
      *in_flight_now_ += 1 / *in_flight_now_;
    }
    return;
  }
  const bool is_429 = outcome.ending == Ending::rate_limited;
  if (!is_429 && outcome.ending != Ending::overloaded) return;
  const bool is_crowd = is_crowded(departure.order);
  const bool has_time = is_429 && outcome.retry_after_ms.has_value();
  const bool is_new =
      is_429 && pace_.refused(departure.order, departure.at_ms, has_time || is_crowd, now_ms);
  if (is_new) {
    provider_.be_stricter(now_ms);
    own_.be_stricter(now_ms);
  }
  // Refused again after a rest, with no answer in between: longer each time. A learnt pace makes
  // a rest without a word on it needless.
  if (is_429 && now_ms >= rests_until_ms_ && (has_time || (is_crowd && !pace_.per_minute()))) {
    const std::int64_t asked_ms = std::max(outcome.retry_after_ms.value_or(0), kShortestRestMs);
    const std::int64_t longer_ms = std::min(kLongestRestMs, asked_ms << std::min(rests_, 6));
    if (!has_time || rests_ > 0)
      rest(now_ms + longer_ms, fmt::format("{} answered 429", model_.key));
    ++rests_;
  }
  if (has_time || !is_crowd) return;
  is_beginning_ = false;
  if (departure.at_ms < lowered_at_ms_) return;  // it flew with those that lowered it already
  lowered_at_ms_ = now_ms;
  const double flew = own_.flying() + 1;
  in_flight_now_ = std::max(1.0, kLowered * std::min(flew, in_flight_now_.value_or(flew)));
}

void Lane::begin_small() {
  if (own_.has_request_rate() || provider_.has_request_rate()) return;
  in_flight_now_ = kFirst;
  is_beginning_ = true;
}

void Lane::rise(double by) {
  *in_flight_now_ += by;
  if (*in_flight_now_ <= kBegun) return;
  is_beginning_ = false;
  in_flight_now_.reset();
}

void Lane::begin(std::int64_t now_ms, const std::vector<SentRow>& sent) {
  own_.begin(now_ms, sent);
}

double Lane::expected_tokens(std::int64_t estimate) const {
  return static_cast<double>(estimate) * tokens_per_estimate_;
}

bool Lane::repair(const Form& used, const std::string& complaint) {
  // It left before an earlier complaint changed the form.
  if (!(used == form_)) return true;
  const Form other = repaired(form_, complaint);
  if (other == form_) return false;
  if (other.max_tokens_field != form_.max_tokens_field) {
    if (has_changed_field_) return false;  // both names were refused
    has_changed_field_ = true;
  }
  form_ = other;
  return true;
}

}  // namespace docmill
