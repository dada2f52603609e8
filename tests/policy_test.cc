#include "queue/policy.h"

#include "tests/catch.h"

using namespace docmill;

namespace {

constexpr std::int64_t kNow = 1'000'000;

Outcome outcome(Ending ending, bool may_be_billed = false) {
  Outcome out;
  out.ending = ending;
  out.error_class = to_string(ending);
  out.may_be_billed = may_be_billed;
  return out;
}

struct Row {
  const char* story;
  Ending ending;
  bool may_be_billed;
  JobFacts job;
  Move move;
  bool counts_try;
};

JobFacts facts(int position, int length, int tries = 0, int unsure = 0) {
  JobFacts job;
  job.chain_position = position;
  job.chain_length = length;
  job.tries = tries;
  job.unsure = unsure;
  return job;
}

}  // namespace

TEST_CASE("what becomes of a job, by how its attempt ended") {
  const Row rows[] = {
      {"an answer is the result", Ending::answered, false, facts(0, 2), Move::done, false},
      {"a refused connection costs no try", Ending::not_sent, false, facts(0, 2, 4), Move::retry,
       false},
      {"429 costs no try, however often", Ending::rate_limited, false, facts(0, 2, 4), Move::retry,
       false},
      {"503 is tried again", Ending::overloaded, false, facts(0, 2), Move::retry, true},
      {"503 at the last try falls back", Ending::overloaded, false, facts(0, 2, 4), Move::fall_back,
       true},
      {"500 at the last try of the last model fails", Ending::server_error, false, facts(1, 2, 4),
       Move::fail, true},
      {"a cut that may be billed is tried once more", Ending::cut, true, facts(0, 2), Move::retry,
       true},
      {"and then falls back, whatever max_tries says", Ending::cut, true, facts(0, 2, 1, 1),
       Move::fall_back, true},
      {"and then fails at the chain's end", Ending::cut, true, facts(1, 2, 1, 1), Move::fail, true},
      {"a cut after other failures counts like them", Ending::cut, true, facts(0, 2, 4, 0),
       Move::fall_back, true},
      {"500 that may be billed counts alike", Ending::server_error, true, facts(0, 2, 1, 1),
       Move::fall_back, true},
      {"a bad answer was paid for: once more", Ending::bad_reply, false, facts(0, 1), Move::retry,
       true},
      {"a second bad answer falls back", Ending::bad_reply, false, facts(0, 2, 1, 1),
       Move::fall_back, true},
      {"an invalid output is tried once more", Ending::invalid_output, false, facts(0, 2),
       Move::retry, true},
      {"a translation that lost a link is asked to mend it", Ending::changed_structure, false,
       facts(0, 2), Move::retry, true},
      {"and is kept when it does not", Ending::changed_structure, false, facts(0, 2, 1, 1),
       Move::done, false},
      {"a truncated answer is never tried the same way", Ending::truncated, false, facts(0, 2),
       Move::fall_back, false},
      {"and fails at the chain's end", Ending::truncated, false, facts(1, 2), Move::fail, false},
      {"a refusal goes to another vendor", Ending::refused, false, facts(0, 2), Move::fall_back,
       false},
      {"and fails at the chain's end", Ending::refused, false, facts(0, 1), Move::fail, false},
      {"too long for this model", Ending::too_long, false, facts(0, 2), Move::fall_back, false},
      {"too long for all models", Ending::too_long, false, facts(1, 2), Move::fail, false},
      {"a wrong request fails at once", Ending::bad_request, false, facts(0, 2), Move::fail, false},
      {"an unknown model pauses, and the document goes back", Ending::model_down, false,
       facts(0, 2), Move::give_back, false},
      {"so does a bad key", Ending::provider_down, false, facts(0, 2), Move::give_back, false},
      {"what we cut ourselves goes back", Ending::aborted, true, facts(0, 1), Move::give_back,
       false},
  };
  for (const Row& row : rows) {
    INFO(row.story);
    const Decision decision =
        decide(row.job, outcome(row.ending, row.may_be_billed), Policy{}, kNow, 0.5);
    CHECK(decision.move == row.move);
    CHECK(decision.counts_try == row.counts_try);
  }
}

TEST_CASE("what pauses, and how much of it") {
  CHECK(decide(facts(0, 1), outcome(Ending::provider_down), {}, kNow, 0).pauses ==
        Pauses::provider);
  CHECK(decide(facts(0, 1), outcome(Ending::model_down), {}, kNow, 0).pauses == Pauses::model);
  CHECK(decide(facts(0, 1), outcome(Ending::bad_request), {}, kNow, 0).pauses == Pauses::nothing);
}

TEST_CASE("the delay is random over a span that doubles up to its cap") {
  Policy policy;
  policy.max_tries = 25;
  const auto delay = [&](int tries, double random) {
    return decide(facts(0, 1, tries), outcome(Ending::overloaded), policy, kNow, random).run_at_ms -
           kNow;
  };
  CHECK(delay(0, 0.0) == 0);
  CHECK(delay(0, 0.5) == 500);
  CHECK(delay(1, 0.5) == 1000);
  CHECK(delay(3, 0.5) == 4000);
  CHECK(delay(6, 0.5) == 30'000);  // 64 s is cut to 60
  CHECK(delay(19, 0.5) == 30'000);
}

TEST_CASE("what a provider asks for is honoured, within reason") {
  Outcome wait = outcome(Ending::rate_limited);
  wait.retry_after_ms = 20'000;
  Decision decision = decide(facts(0, 2), wait, {}, kNow, 0.25);
  CHECK(decision.run_at_ms == kNow + 20'250);  // a little later than the others
  CHECK(decision.lane_rests_until_ms == kNow + 20'000);

  wait.retry_after_ms = 86'400'000;
  decision = decide(facts(0, 2), wait, {}, kNow, 0);
  CHECK(decision.run_at_ms == kNow + 900'000);

  Outcome busy = outcome(Ending::overloaded);
  busy.retry_after_ms = 5000;
  CHECK(decide(facts(0, 2), busy, {}, kNow, 0.1).run_at_ms == kNow + 5000);
  CHECK(decide(facts(0, 2), busy, {}, kNow, 0.1).lane_rests_until_ms == kNow + 5000);
  busy.ending = Ending::server_error;  // a word on this request alone
  CHECK(decide(facts(0, 2), busy, {}, kNow, 0.1).lane_rests_until_ms == 0);
}

TEST_CASE("a job that was sent too often is held") {
  JobFacts job = facts(0, 2);
  job.requests = 50;
  CHECK(decide(job, outcome(Ending::rate_limited), {}, kNow, 0).move == Move::hold);
  CHECK(decide(job, outcome(Ending::refused), {}, kNow, 0).move == Move::hold);
  CHECK(decide(job, outcome(Ending::answered), {}, kNow, 0).move == Move::done);
  CHECK(decide(job, outcome(Ending::bad_request), {}, kNow, 0).move == Move::fail);
}

TEST_CASE("what nobody wants any more is kept when it is there, and not asked for again") {
  JobFacts job = facts(0, 2);
  job.unwanted = true;
  CHECK(decide(job, outcome(Ending::answered), {}, kNow, 0).move == Move::done);
  CHECK(decide(job, outcome(Ending::overloaded), {}, kNow, 0).move == Move::cancel);
  CHECK(decide(job, outcome(Ending::refused), {}, kNow, 0).move == Move::cancel);
  CHECK(decide(job, outcome(Ending::bad_request), {}, kNow, 0).move == Move::fail);
}
