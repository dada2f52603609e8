#include "worker/lane.h"

#include "tests/catch.h"

using namespace docmill;

namespace {

constexpr std::int64_t kStart = 1'000'000;

class LaneTest {
 public:
  LaneTest() {
    model.key = "m";
    shared.name = "p";
  }
  Model model;
  Limits shared;
  Lane::Options options{3, 30'000};

  static Outcome outcome(Ending ending) {
    Outcome out;
    out.ending = ending;
    return out;
  }
};

}  // namespace

TEST_CASE("a bucket gives its burst at once and then its rate") {
  Bucket bucket(600, 2.0);  // ten a second, twenty at once
  std::int64_t now = kStart;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(bucket.free_at_ms(now) == now);
    bucket.take(now);
  }
  CHECK(bucket.free_at_ms(now) == now + 100);
  now += 100;
  bucket.take(now);
  CHECK(bucket.free_at_ms(now) == now + 100);
  CHECK(bucket.free_at_ms(now + 1'000'000) == now + 1'000'000);
}

TEST_CASE("a slow rate still lets one go") {
  Bucket bucket(0.5, 2.0);  // one in two minutes
  CHECK(bucket.free_at_ms(kStart) == kStart);
  bucket.take(kStart);
  CHECK(bucket.free_at_ms(kStart) == kStart + 120'000);
}

TEST_CASE_METHOD(LaneTest, "the provider's limits bind all of its models together") {
  shared.in_flight = 2;
  Model other = model;
  other.key = "other";
  Lane a(model, shared, options);
  Lane b(other, shared, options);
  a.start(kStart);
  b.start(kStart);
  CHECK(a.refusal(kStart)->reason == "in flight, p");
  CHECK(b.refusal(kStart)->until_ms == 0);
  a.end(outcome(Ending::answered), {}, kStart);
  CHECK_FALSE(b.refusal(kStart));
}

TEST_CASE_METHOD(LaneTest, "the breaker opens after failures in a row, and one probe closes it") {
  Lane lane(model, shared, options);
  const auto fail = [&] {
    lane.start(kStart);
    lane.end(outcome(Ending::server_error), {}, kStart);
  };
  fail();
  fail();
  lane.start(kStart);
  lane.end(outcome(Ending::answered), {}, kStart);  // not in a row
  fail();
  fail();
  CHECK_FALSE(lane.refusal(kStart));
  fail();
  REQUIRE(lane.refusal(kStart));
  CHECK(lane.refusal(kStart)->is_out_of_order);
  CHECK(lane.refusal(kStart)->until_ms == kStart + 30'000);

  const std::int64_t later = kStart + 30'000;
  CHECK_FALSE(lane.refusal(later));
  lane.start(later);
  CHECK(lane.refusal(later));  // one probe, no more
  lane.end(outcome(Ending::cut), {}, later);
  CHECK(lane.refusal(later)->until_ms == later + 30'000);

  lane.start(later + 30'000);
  lane.end(outcome(Ending::refused), {}, later + 30'000);  // it answers: it is well
  CHECK_FALSE(lane.refusal(later + 30'000));
}

TEST_CASE_METHOD(LaneTest, "429 and our own cuts do not open the breaker") {
  Lane lane(model, shared, options);
  for (int i = 0; i < 10; ++i) {
    lane.start(kStart);
    lane.end(outcome(i % 2 == 0 ? Ending::rate_limited : Ending::aborted), {}, kStart);
  }
  CHECK_FALSE(lane.refusal(kStart));
}

TEST_CASE_METHOD(LaneTest, "a Retry-After rests the lane, and a shorter one does not cut it") {
  Lane lane(model, shared, options);
  Decision wait;
  wait.lane_rests_until_ms = kStart + 20'000;
  lane.start(kStart);
  lane.start(kStart);
  lane.end(outcome(Ending::rate_limited), wait, kStart);
  wait.lane_rests_until_ms = kStart + 1'000;
  lane.end(outcome(Ending::rate_limited), wait, kStart);
  CHECK(lane.refusal(kStart + 19'999)->until_ms == kStart + 20'000);
  CHECK_FALSE(lane.refusal(kStart + 20'000));
}

TEST_CASE_METHOD(LaneTest, "a paused provider lets one request through when it is time to ask") {
  Lane lane(model, shared, options);
  shared.pause = Pause{"no money", kStart + 1000, false};
  CHECK(lane.refusal(kStart)->needs_person);
  CHECK(lane.refusal(kStart)->reason == "p paused: no money");
  CHECK_FALSE(lane.refusal(kStart + 1000));
  lane.start(kStart + 1000);
  CHECK(lane.refusal(kStart + 1000)->is_out_of_order);
}

TEST_CASE_METHOD(LaneTest, "what was sent before a restart counts against the rate") {
  model.requests_per_minute = 60;
  Lane fresh(model, shared, options);
  CHECK_FALSE(fresh.refusal(kStart));
  Lane restarted(model, shared, options);
  restarted.remember({kStart - 500, kStart - 100, kStart - 50});
  CHECK(restarted.refusal(kStart));
}
