#include "tests/lane_harness.h"

using namespace docmill;

TEST_CASE("a bucket gives its burst at once and then its rate") {
  Bucket bucket(600, 2.0);  // ten a second, twenty at once
  std::int64_t now = kStart;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(bucket.free_at_ms(now) == now);
    bucket.take(now, 1);
  }
  CHECK(bucket.free_at_ms(now) == now + 100);
  now += 100;
  bucket.take(now, 1);
  CHECK(bucket.free_at_ms(now) == now + 100);
  CHECK(bucket.free_at_ms(now + 1'000'000) == now + 1'000'000);
}

TEST_CASE("a slow rate still lets one go") {
  Bucket bucket(0.5, 2.0);  // one in two minutes
  CHECK(bucket.free_at_ms(kStart) == kStart);
  bucket.take(kStart, 1);
  CHECK(bucket.free_at_ms(kStart) == kStart + 120'000);
}

TEST_CASE("a request larger than the burst goes, and the next waits until it is paid off") {
  Bucket tokens(60'000, 2.0);  // 1,000 a second, 2,000 at once
  CHECK(tokens.free_at_ms(kStart) == kStart);
  tokens.take(kStart, 5'000);
  CHECK(tokens.free_at_ms(kStart) == kStart + 3'001);
  tokens.give_back(kStart, 3'000);  // it used 2,000
  CHECK(tokens.free_at_ms(kStart) == kStart + 1);
  tokens.give_back(kStart, 1'000'000);
  CHECK(tokens.level_at(kStart) == 2'000);  // never above its burst
}

TEST_CASE_METHOD(LaneTest, "the provider's limits bind all of its models together") {
  shared = Limits("p", {}, 2.0, 2);
  Model other = model;
  other.key = "other";
  Lane a(model, shared, host, options);
  Lane b(other, shared, host, options);
  const Departure first = a.start(kStart, {});
  b.start(kStart, {});
  CHECK(a.refusal(kStart)->reason == "in flight of p, 2");
  CHECK(b.refusal(kStart)->until_ms == 0);
  end(a, first, Ending::answered, kStart);
  CHECK_FALSE(b.refusal(kStart));
}

TEST_CASE_METHOD(LaneTest, "the breaker opens after failures in a row, and one probe closes it") {
  Lane lane(model, shared, host, options);
  const auto fail = [&] { ask(lane, Ending::server_error, kStart); };
  fail();
  fail();
  ask(lane, Ending::answered, kStart);  // not in a row
  fail();
  fail();
  CHECK_FALSE(lane.refusal(kStart));
  fail();
  REQUIRE(lane.refusal(kStart));
  CHECK(lane.refusal(kStart)->is_out_of_order);
  CHECK(lane.refusal(kStart)->until_ms == kStart + 30'000);

  const std::int64_t later = kStart + 30'000;
  CHECK_FALSE(lane.refusal(later));
  const Departure probe = lane.start(later, {});
  CHECK(lane.refusal(later));  // one probe, no more
  end(lane, probe, Ending::cut, later);
  CHECK(lane.refusal(later)->until_ms == later + 30'000);

  const Departure second = lane.start(later + 30'000, {});
  end(lane, second, Ending::refused, later + 30'000);  // it answers: it is well
  CHECK_FALSE(lane.refusal(later + 30'000));
}

TEST_CASE_METHOD(LaneTest, "what left before the breaker opened neither closes nor extends it") {
  Lane lane(model, shared, host, options);
  const Departure early_failure = lane.start(kStart, {});
  const Departure early_answer = lane.start(kStart, {});
  for (int i = 0; i < 3; ++i) ask(lane, Ending::server_error, kStart);
  end(lane, early_failure, Ending::server_error, kStart + 20'000);
  CHECK(lane.refusal(kStart + 20'000)->until_ms == kStart + 30'000);
  end(lane, early_answer, Ending::answered, kStart + 20'000);
  CHECK(lane.refusal(kStart + 20'000));
}

TEST_CASE_METHOD(LaneTest, "without connections the host rests, for all who live there") {
  Model other = model;
  other.key = "other";
  Limits neighbour{"q", {}, 2.0, std::nullopt};
  Lane a(model, shared, host, options);
  Lane b(other, neighbour, host, options);
  for (int i = 0; i < 3; ++i) ask(a, Ending::not_sent, kStart);
  REQUIRE(b.refusal(kStart));
  CHECK(b.refusal(kStart)->is_out_of_order);
  CHECK(b.refusal(kStart)->reason == "no connection to q, 3 times in a row");
  const Departure probe = b.start(kStart + 30'000, {});
  CHECK(a.refusal(kStart + 30'000));                     // the one probe is under way
  end(b, probe, Ending::server_error, kStart + 30'000);  // it answers, so it is there
  CHECK_FALSE(a.refusal(kStart + 30'000));
}

TEST_CASE_METHOD(LaneTest, "429 and our own cuts do not open the breaker") {
  Lane lane(model, shared, host, options);
  std::int64_t now = kStart;
  for (int i = 0; i < 10; ++i) {
    now += 200'000;  // past any rest
    ask(lane, i % 2 == 0 ? Ending::rate_limited : Ending::aborted, now);
  }
  CHECK_FALSE(lane.refusal(now + 200'000));
}

TEST_CASE_METHOD(LaneTest, "a row of wrong requests rests the model: the fault is ours") {
  Lane lane(model, shared, host, options);
  std::int64_t now = kStart;
  for (int i = 0; i < 19; ++i) ask(lane, Ending::bad_request, now += 1000);
  CHECK_FALSE(lane.refusal(now += 1000));
  for (int i = 0; i < 3; ++i) ask(lane, Ending::bad_request, now += 1000);
  REQUIRE(lane.refusal(now));
  CHECK(lane.refusal(now)->is_out_of_order);
}

TEST_CASE_METHOD(LaneTest, "a Retry-After rests the lane, and a shorter one does not cut it") {
  Lane lane(model, shared, host, options);
  Outcome limited = outcome(Ending::rate_limited);
  limited.retry_after_ms = 20'000;
  Decision wait;
  wait.lane_rests_until_ms = kStart + 20'000;
  const Departure a = lane.start(kStart, {});
  const Departure b = lane.start(kStart, {});
  lane.end(a, limited, wait, std::nullopt, {}, kStart);
  wait.lane_rests_until_ms = kStart + 1'000;
  lane.end(b, limited, wait, std::nullopt, {}, kStart);
  CHECK(lane.refusal(kStart + 19'999)->until_ms == kStart + 20'000);
  CHECK_FALSE(lane.refusal(kStart + 20'000));
}

TEST_CASE_METHOD(LaneTest, "a paused provider lets one request through when it is time to ask") {
  Lane lane(model, shared, host, options);
  shared.pause = Pause{"no money", kStart + 1000, false};
  CHECK(lane.refusal(kStart)->needs_person);
  CHECK(lane.refusal(kStart)->reason == "p paused: no money");
  CHECK_FALSE(lane.refusal(kStart + 1000));
  lane.start(kStart + 1000, {});
  CHECK(lane.refusal(kStart + 1000)->is_out_of_order);
}

TEST_CASE_METHOD(LaneTest, "what was sent before a restart counts against the rate") {
  model.per_minute.requests = 60;
  Lane fresh(model, shared, host, options);
  fresh.begin(kStart, {});
  CHECK_FALSE(fresh.refusal(kStart));
  ask(fresh, Ending::answered, kStart);
  CHECK(fresh.refusal(kStart));  // no burst at the beginning: it was not saved up
  Lane restarted(model, shared, host, options);
  restarted.begin(kStart, {{kStart - 500, 0, 0}, {kStart - 100, 0, 0}, {kStart - 50, 0, 0}});
  CHECK(restarted.refusal(kStart));
}

TEST_CASE_METHOD(LaneTest,
                 "tokens are reserved with the whole output limit and corrected by usage") {
  model.per_minute.output_tokens = 6'000;  // a hundred a second, two hundred at once
  Lane lane(model, shared, host, options);
  lane.begin(kStart, {});
  const Departure departure = lane.start(kStart, {50, 1'000});
  CHECK(lane.refusal(kStart)->reason == "output tokens/min of m");
  CHECK(lane.refusal(kStart)->until_ms == kStart + 10'000);
  lane.end(departure, outcome(Ending::answered), {}, Usage{50, 0, 0, 100, 0}, {}, kStart);
  CHECK(lane.refusal(kStart)->until_ms == kStart + 1'000);
}

TEST_CASE_METHOD(LaneTest, "a model's own count of tokens corrects the estimates for it") {
  Lane lane(model, shared, host, options);
  CHECK(lane.expected_tokens(100) == 100);
  for (int i = 0; i < 100; ++i) {
    const Departure departure = lane.start(kStart, {lane.expected_tokens(100), 10});
    lane.end(departure, outcome(Ending::answered), {}, Usage{180, 0, 0, 5, 0}, {}, kStart);
  }
  CHECK(lane.expected_tokens(100) == Approx(180).epsilon(0.01));
}

TEST_CASE_METHOD(LaneTest, "overload takes a fifth of what flies, once; answers give it back") {
  Lane lane(model, shared, host, {100, 30'000});
  std::vector<Departure> flying;
  const auto end_at = [&](std::size_t i, Ending ending, std::int64_t now_ms) {
    end(lane, flying[i], ending, now_ms);
  };
  for (int i = 0; i < 10; ++i) flying.push_back(lane.start(kStart, {}));
  end_at(0, Ending::overloaded, kStart + 5);
  end_at(1, Ending::overloaded, kStart + 5);  // two neighbours: four fifths of the nine that flew
  end_at(2, Ending::overloaded, kStart + 5);
  end_at(3, Ending::overloaded, kStart + 5);  // of the same time: no lower
  const std::int64_t later = kStart + 5000;
  const auto fill = [&](std::int64_t now_ms) {
    std::size_t started = 0;
    for (; started < 100 && !lane.refusal(now_ms); ++started) {
      flying.push_back(lane.start(now_ms, {}));
    }
    return started;
  };
  CHECK(fill(later) == 1);  // six fly
  CHECK(lane.refusal(later)->reason == "in flight of m, lowered to 7 by overload");
  for (std::size_t i = 4; i < 10; ++i) end_at(i, Ending::answered, later);
  CHECK(fill(later + 5000) == 6);  // one flies, and six answers gave a seventh each: not yet eight
}

TEST_CASE_METHOD(LaneTest, "what a reply says is left binds, less what left after it") {
  Lane lane(model, shared, host, options);
  const Departure first = lane.start(kStart, {});
  const Departure second = lane.start(kStart, {});
  lane.start(kStart, {});
  // The second comes back first: it was counted second, so one more is out.
  RateHints hints;
  hints[0] = RateHint{10, 2, 60'000};  // eight used come back in a minute
  end(lane, second, Ending::answered, kStart, hints);
  CHECK_FALSE(lane.refusal(kStart));
  lane.start(kStart, {});
  REQUIRE(lane.refusal(kStart));
  CHECK(lane.refusal(kStart)->reason == "requests/min of m, as its replies say");
  CHECK(lane.refusal(kStart)->until_ms == kStart + 7'500);
  // An older word that promises more changes nothing.
  hints[0] = RateHint{10, 9, 7'500};
  end(lane, first, Ending::answered, kStart, hints);
  CHECK(lane.refusal(kStart));
}

TEST_CASE_METHOD(LaneTest, "what is left may be used at once, however slowly it comes back") {
  Lane lane(model, shared, host, options);
  RateHints hints;
  hints[0] = RateHint{50, 40, 25'000'000};  // ten used come back in seven hours
  end(lane, lane.start(kStart, {}), Ending::answered, kStart, hints);
  int started = 0;
  for (std::int64_t now_ms = kStart + 1000; !lane.refusal(now_ms); now_ms += 1000) {
    lane.start(now_ms, {});
    ++started;
  }
  CHECK(started == 40);
}

TEST_CASE_METHOD(LaneTest, "a header that says nothing is ever left delays by a minute at most") {
  Lane lane(model, shared, host, options);
  RateHints hints;
  hints[0] = RateHint{1, 0, 3'600'000};
  end(lane, lane.start(kStart, {}), Ending::answered, kStart, hints);
  REQUIRE(lane.refusal(kStart));
  CHECK(lane.refusal(kStart)->until_ms <= kStart + 60'000);
}

// Anthropic says its resets in whole seconds. Of a limit that was hardly used they once were read
// as one request a minute.
TEST_CASE_METHOD(LaneTest, "refused after each rest, it rests longer each time, up to a limit") {
  Lane lane(model, shared, host, options);
  Outcome limited = outcome(Ending::rate_limited);
  limited.retry_after_ms = 1000;
  std::int64_t now_ms = kStart;
  int asked = 0;
  for (; now_ms < kStart + 150'000; now_ms += 10) {
    if (lane.refusal(now_ms)) continue;
    const Departure departure = lane.start(now_ms, {});
    Decision wait;
    wait.lane_rests_until_ms = now_ms + 1000;
    lane.end(departure, limited, wait, std::nullopt, {}, now_ms);
    ++asked;
  }
  CHECK(asked < 12);  // 1, 2, 4, 8, 16, 30, 30, ...
}

TEST_CASE_METHOD(LaneTest,
                 "a refused parameter changes the form, once for all that were on their way") {
  model.temperature = 0.2;
  Lane lane(model, shared, host, options);
  const Form first = lane.form();
  CHECK(
      lane.repair(first, "max_tokens unsupported parameter: use 'max_completion_tokens' instead."));
  CHECK(lane.form().max_tokens_field == "max_completion_tokens");
  CHECK(lane.repair(first, "max_tokens unsupported parameter"));  // it left before
  CHECK(lane.form().max_tokens_field == "max_completion_tokens");
  const Form second = lane.form();
  CHECK(lane.repair(second, "temperature does not support 0.2; only the default (1)"));
  CHECK_FALSE(lane.form().has_temperature);
  // Going back to what was refused is no repair.
  CHECK_FALSE(lane.repair(lane.form(), "max_completion_tokens is not supported"));
  CHECK_FALSE(lane.repair(lane.form(), "logit_bias is not supported"));
}
