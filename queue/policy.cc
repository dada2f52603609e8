#include "queue/policy.h"

#include <algorithm>

namespace docmill {
namespace {

// Full jitter: spread evenly over [0, base * 2^n], so that jobs which failed together do not come
// back together.
std::int64_t backoff_ms(const Policy& policy, int n, double random) {
  std::int64_t span_ms = policy.retry_base_ms;
  for (int i = 0; i < n && span_ms < policy.retry_cap_ms; ++i) span_ms *= 2;
  return static_cast<std::int64_t>(random *
                                   static_cast<double>(std::min(span_ms, policy.retry_cap_ms)));
}

bool is_last_model(const JobFacts& job) {
  return job.chain_position + 1 >= job.chain_length;
}

// The next model, or one further on that suits the failure better.
void go_on_or(Move otherwise, const JobFacts& job, std::optional<int> better, Decision& decision) {
  decision.move = is_last_model(job) ? otherwise : Move::fall_back;
  decision.position = better.value_or(job.chain_position + 1);
}

void next_model_or(Move otherwise, const JobFacts& job, Decision& decision) {
  go_on_or(otherwise, job, std::nullopt, decision);
}

Decision retry_or_next(const JobFacts& job, const Outcome& outcome, const Policy& policy,
                       std::int64_t now_ms, double random) {
  Decision decision;
  decision.counts_try = true;
  // One that may be billed is tried once more, whatever max_tries says, and then counts like
  // others.
  const int most = is_costly(outcome) ? std::max(policy.max_tries, 2) : policy.max_tries;
  const bool spent = job.tries + 1 >= most || (is_costly(outcome) && job.unsure >= 1);
  const std::int64_t asked_ms =
      std::min(outcome.retry_after_ms.value_or(0), policy.longest_retry_after_ms);
  // 503 with a Retry-After: a word on the model, not on this request.
  if (outcome.ending == Ending::overloaded && !outcome.wait_is_own && asked_ms > 0) {
    decision.lane_rests_until_ms = now_ms + asked_ms;
  }
  if (spent || outcome.no_retry) {
    next_model_or(Move::fail, job, decision);
    return decision;
  }
  decision.move = Move::retry;
  decision.run_at_ms = now_ms + std::max(asked_ms, backoff_ms(policy, job.tries, random));
  return decision;
}

// What was paid for is kept rather than lost over a link, if asking once more does not help.
Decision mend_or_keep(const JobFacts& job, const Policy& policy, std::int64_t now_ms) {
  Decision decision;
  const bool may_ask = job.unsure == 0 && job.tries + 1 < std::max(policy.max_tries, 2) &&
                       job.requests < policy.max_requests && !job.unwanted;
  if (!may_ask) return decision;
  decision.move = Move::retry;
  decision.run_at_ms = now_ms;
  decision.counts_try = true;
  return decision;
}

// The answer did not fit its limit: once more with a higher one, then for less text at a time,
// unless reasoning took the room; then another model.
Decision longer_or_next(const JobFacts& job, Ending ending, std::int64_t now_ms) {
  Decision decision;
  if (job.can_raise) {
    decision.move = Move::retry;
    decision.run_at_ms = now_ms;
    decision.raises_limit = true;
    return decision;
  }
  if (job.can_split && ending == Ending::truncated) {
    decision.move = Move::split;
    return decision;
  }
  next_model_or(Move::fail, job, decision);
  return decision;
}

// 429, or no connection: the wait belongs to the lane, and costs the job no try.
Decision wait_for_lane(const JobFacts& job, const Outcome& outcome, const Policy& policy,
                       std::int64_t now_ms, double random) {
  Decision decision;
  decision.move = Move::retry;
  std::int64_t wait_ms = backoff_ms(policy, job.requests - 1, random);
  if (outcome.retry_after_ms) {
    const std::int64_t asked_ms = std::min(*outcome.retry_after_ms, policy.longest_retry_after_ms);
    decision.lane_rests_until_ms = now_ms + asked_ms;
    // On top: those that were told the same time would all come back in it, and what is refused
    // over and over would stand before all others whenever the lane is free.
    wait_ms += asked_ms;
  }
  decision.run_at_ms = now_ms + wait_ms;
  return decision;
}

Decision decide_by_ending(const JobFacts& job, const Outcome& outcome, const Policy& policy,
                          std::int64_t now_ms, double random) {
  Decision decision;
  switch (outcome.ending) {
    case Ending::answered:
      decision.move = Move::done;
      return decision;
    case Ending::not_sent:
    case Ending::rate_limited:
      return wait_for_lane(job, outcome, policy, now_ms, random);
    case Ending::overloaded:
    case Ending::server_error:
    case Ending::cut:
    case Ending::bad_reply:
    case Ending::invalid_output:
      return retry_or_next(job, outcome, policy, now_ms, random);
    case Ending::changed_structure:
      return mend_or_keep(job, policy, now_ms);
    case Ending::too_slow:
      if (is_last_model(job)) return retry_or_next(job, outcome, policy, now_ms, random);
      decision.counts_try = true;
      next_model_or(Move::fail, job, decision);
      return decision;
    case Ending::truncated:
    case Ending::overthought:
      return longer_or_next(job, outcome.ending, now_ms);
    case Ending::refused:
      go_on_or(Move::fail, job, job.other_vendor_position, decision);
      return decision;
    case Ending::too_long:
      go_on_or(Move::fail, job, job.larger_position, decision);
      if (job.can_split && !job.larger_position) decision.move = Move::split;
      return decision;
    case Ending::model_changed:
      next_model_or(Move::fail, job, decision);
      return decision;
    case Ending::bad_request:
      decision.move = Move::fail;
      return decision;
    // While it is paused the chain goes on without it, and the job is where it was when that is
    // over.
    case Ending::model_down:
      decision.move = Move::give_back;
      decision.pauses = Pauses::model;
      return decision;
    case Ending::provider_down:
      decision.move = Move::give_back;
      decision.pauses = Pauses::provider;
      return decision;
    case Ending::repaired:
    case Ending::aborted:
      decision.move = Move::give_back;
      return decision;
  }
  return decision;
}

// Nothing was sent, or the fault was not this request's.
bool is_beside_the_job(Ending ending) {
  return ending == Ending::not_sent || ending == Ending::model_down ||
         ending == Ending::provider_down || ending == Ending::repaired || ending == Ending::aborted;
}

bool goes_on(Move move) {
  return move == Move::retry || move == Move::fall_back || move == Move::split ||
         move == Move::give_back;
}

}  // namespace

const char* to_string(Ending ending) {
  switch (ending) {
    case Ending::answered:
      return "answered";
    case Ending::not_sent:
      return "not_sent";
    case Ending::rate_limited:
      return "rate_limited";
    case Ending::overloaded:
      return "overloaded";
    case Ending::server_error:
      return "server_error";
    case Ending::cut:
      return "cut";
    case Ending::bad_reply:
      return "bad_reply";
    case Ending::too_slow:
      return "too_slow";
    case Ending::truncated:
      return "truncated";
    case Ending::overthought:
      return "overthought";
    case Ending::refused:
      return "refused";
    case Ending::model_changed:
      return "model_changed";
    case Ending::invalid_output:
      return "invalid_output";
    case Ending::changed_structure:
      return "changed_structure";
    case Ending::too_long:
      return "too_long";
    case Ending::bad_request:
      return "bad_request";
    case Ending::model_down:
      return "model_down";
    case Ending::provider_down:
      return "provider_down";
    case Ending::repaired:
      return "repaired";
    case Ending::aborted:
      return "aborted";
  }
  return "unknown";
}

bool is_costly(const Outcome& outcome) {
  return outcome.may_be_billed || outcome.was_billed || outcome.ending == Ending::bad_reply ||
         outcome.ending == Ending::invalid_output || outcome.ending == Ending::changed_structure;
}

Decision decide(const JobFacts& job, const Outcome& outcome, const Policy& policy,
                std::int64_t now_ms, double random) {
  Decision decision = decide_by_ending(job, outcome, policy, now_ms, random);
  decision.counts_request = !is_beside_the_job(outcome.ending);
  if (job.unwanted && goes_on(decision.move)) {
    decision.move = Move::cancel;
  } else if (decision.counts_request && job.requests >= policy.max_requests &&
             goes_on(decision.move)) {
    decision.move = Move::hold;
  }
  return decision;
}

}  // namespace docmill
