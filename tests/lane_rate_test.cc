// Lanes against providers' own token buckets, in virtual time: how much of a limit is used, and how
// often it is run into.

#include <deque>

#include "tests/lane_harness.h"

using namespace docmill;

namespace {

// A provider that grants `per_minute` by a token bucket of its own, and says as much of it as told.
struct Grantor {
  double per_minute;
  double capacity;
  bool says_headers = false;
  bool says_retry_after = false;
  std::int64_t answer_ms = 100;
  std::int64_t refusal_ms = 2;
  int refuses_every = 0;  // whatever the rate; 0: never
  bool whole_seconds = false;
  Ending refusal = Ending::rate_limited;
  double level = capacity;
  std::int64_t as_of_ms = kStart;
  int asked = 0;

  bool grants(std::int64_t now_ms) {
    // Not evenly: a prime step through the hundreds.
    if (refuses_every != 0 && ++asked * 37 % 100 < 100 / refuses_every) return false;
    level =
        std::min(capacity, level + static_cast<double>(now_ms - as_of_ms) * per_minute / 60'000);
    as_of_ms = now_ms;
    if (level < 1) return false;
    level -= 1;
    return true;
  }
  RateHints hints() const {
    RateHints out;
    if (!says_headers) return out;
    auto full_in_ms = static_cast<std::int64_t>((capacity - level) * 60'000 / per_minute);
    if (whole_seconds) full_in_ms = full_in_ms / 1000 * 1000;
    out[0] = RateHint{capacity, std::floor(level), full_in_ms};
    return out;
  }
};

struct Tally {
  int answered = 0;
  int refused = 0;
  int refused_late = 0;  // after the first ten seconds
};

// `slots` requests at once against the provider for so long, in virtual time.
Tally run(Lane& lane, Grantor& provider, int slots, std::int64_t for_ms,
          std::int64_t from_ms = kStart) {
  struct Flying {
    std::int64_t back_at_ms;
    Departure departure;
    bool is_granted;
    RateHints hints;
  };
  Tally tally;
  std::deque<Flying> flying;
  for (std::int64_t now_ms = from_ms; now_ms < from_ms + for_ms; ++now_ms) {
    for (auto it = flying.begin(); it != flying.end();) {
      if (it->back_at_ms > now_ms) {
        ++it;
        continue;
      }
      Outcome out = outcome(it->is_granted ? Ending::answered : provider.refusal);
      Decision decision;
      if (!it->is_granted && provider.says_retry_after) {
        out.retry_after_ms = 1000;
        decision.lane_rests_until_ms = now_ms + 1000;
      }
      if (it->is_granted) ++tally.answered;
      if (!it->is_granted) ++tally.refused;
      if (!it->is_granted && now_ms > from_ms + 10'000) ++tally.refused_late;
      lane.end(it->departure, out, decision, std::nullopt, it->hints, now_ms);
      it = flying.erase(it);
    }
    while (static_cast<int>(flying.size()) < slots && !lane.refusal(now_ms)) {
      const Departure departure = lane.start(now_ms, {});
      const bool is_granted = provider.grants(now_ms);
      const std::int64_t back_at_ms =
          now_ms + (is_granted ? provider.answer_ms : provider.refusal_ms);
      flying.push_back({back_at_ms, departure, is_granted, provider.hints()});
    }
  }
  return tally;
}

}  // namespace

TEST_CASE_METHOD(LaneTest, "headers in whole seconds do not slow a lane") {
  for (const double per_minute : {50.0, 1000.0, 4000.0}) {
    INFO(per_minute << "/min");
    Lane lane(model, shared, host, options);
    Grantor provider{per_minute, per_minute, true};
    provider.whole_seconds = true;
    const Tally tally = run(lane, provider, 64, 120'000);
    CHECK(tally.answered >= 0.9 * 2 * per_minute);
    CHECK(tally.refused <= 0.02 * tally.answered + 64);
  }
}

TEST_CASE_METHOD(LaneTest, "a configured rate is reached, and no 429 comes of it") {
  for (const double per_minute : {60.0, 600.0, 6000.0}) {
    for (const double capacity : {1.5, per_minute / 60, per_minute}) {
      INFO(per_minute << "/min, bucket of " << capacity);
      model.per_minute.requests = per_minute;
      Lane lane(model, shared, host, options);
      lane.begin(kStart, {});
      Grantor provider{per_minute, std::max(1.5, capacity)};
      const Tally tally = run(lane, provider, 64, 60'000);
      CHECK(tally.answered >= 0.97 * per_minute);
      CHECK(tally.refused_late == 0);
    }
  }
}

TEST_CASE_METHOD(LaneTest, "a rate that nobody configured is learnt, from headers or 429s") {
  for (const double per_minute : {300.0, 600.0, 3000.0, 6000.0}) {
    for (const bool has_headers : {true, false}) {
      for (const bool has_retry_after : {true, false}) {
        for (const double capacity : {per_minute / 60, per_minute / 6, per_minute}) {
          for (const std::int64_t refusal_ms : {2, 100}) {
            INFO(per_minute << "/min, bucket of " << capacity << ", headers " << has_headers
                            << ", Retry-After " << has_retry_after << ", 429 after " << refusal_ms);
            Lane lane(model, shared, host, options);
            lane.begin_small();
            Grantor provider{per_minute, capacity, has_headers, has_retry_after};
            provider.refusal_ms = refusal_ms;
            const Tally tally = run(lane, provider, 64, 60'000);
            CHECK(tally.answered >= 0.90 * per_minute);
            // When refusals take as long as answers, the first finds a whole pool on its way.
            const int once = refusal_ms > 50 ? 70 : 9;
            CHECK(tally.refused <= once + 0.02 * (tally.answered + tally.refused));
          }
        }
      }
    }
  }
}

// A limit per minute may be enforced by the second, or by less. What came back to such a bucket
// while nothing was sent was lost, so the first figure was a fraction of the limit, and it took
// many minutes to grow.
TEST_CASE_METHOD(LaneTest, "a rate is learnt from a shallow bucket, too") {
  for (const double per_minute : {600.0, 3000.0}) {
    for (const double depth_s : {0.1, 0.2, 0.5}) {
      for (const std::int64_t refusal_ms : {2, 30}) {
        INFO(per_minute << "/min, " << depth_s << " s deep, 429 after " << refusal_ms);
        Lane lane(model, shared, host, options);
        lane.begin_small();
        Grantor provider{per_minute, std::max(1.0, per_minute / 60 * depth_s)};
        provider.refusal_ms = refusal_ms;
        const Tally tally = run(lane, provider, 64, 120'000);
        CHECK(tally.answered >= 0.5 * 2 * per_minute);
        CHECK(tally.refused <= 0.03 * tally.answered + 64);
      }
    }
  }
}

TEST_CASE_METHOD(LaneTest, "refusals that come whatever the rate do not slow it down for good") {
  Pace pace;
  std::int64_t sent = 0;
  std::int64_t sent_at_half = 0;
  for (std::int64_t now_ms = kStart; now_ms < kStart + 120'000; ++now_ms) {
    if (now_ms == kStart + 60'000) sent_at_half = sent;
    while (sent < (now_ms - kStart) && pace.free_at_ms(now_ms) <= now_ms) {  // one each ms
      pace.started(now_ms);
      if (++sent % 50 == 0) pace.refused(sent, now_ms, false, now_ms);
    }
  }
  CHECK(sent - sent_at_half > 50'000);  // of 60,000
}

TEST_CASE_METHOD(LaneTest, "a few that are refused whatever flies do not lower what flies") {
  for (const Ending refusal : {Ending::rate_limited, Ending::overloaded, Ending::server_error}) {
    for (const int every : {50, 20}) {
      Lane lane(model, shared, host, options);
      lane.begin_small();
      Grantor provider{60'000'000, 1'000'000};
      provider.refuses_every = every;
      provider.refusal = refusal;
      const Tally tally = run(lane, provider, 100, 60'000);
      INFO(to_string(refusal) << ", one of " << every);
      CHECK(tally.answered > 0.8 * 60'000);  // a hundred at a time, a tenth of a second each
    }
  }
}

TEST_CASE_METHOD(LaneTest, "a learnt pace follows a limit that is raised") {
  Lane lane(model, shared, host, options);
  Grantor provider{600, 10};
  run(lane, provider, 64, 60'000);
  provider.per_minute = 900;
  run(lane, provider, 64, 600'000, kStart + 60'000);
  const Tally tally = run(lane, provider, 64, 60'000, kStart + 660'000);
  CHECK(tally.answered >= 0.9 * 900);
}
