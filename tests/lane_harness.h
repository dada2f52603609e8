#pragma once

// A lane with nothing around it but a clock that the test turns.

#include "tests/catch.h"
#include "worker/lane.h"

namespace docmill {

inline constexpr std::int64_t kStart = 1'000'000;

inline Outcome outcome(Ending ending) {
  Outcome out;
  out.ending = ending;
  return out;
}

class LaneTest {
 public:
  LaneTest() : host(options) { model.key = "m"; }
  void end(Lane& lane, const Departure& departure, Ending ending, std::int64_t now_ms,
           const RateHints& hints = {}) {
    lane.end(departure, outcome(ending), {}, std::nullopt, hints, now_ms);
  }
  // A request that comes back at once.
  void ask(Lane& lane, Ending ending, std::int64_t now_ms) {
    end(lane, lane.start(now_ms, {}), ending, now_ms);
  }
  Model model;
  Limits shared{"p", {}, 2.0, std::nullopt};
  Breaker::Options options{3, 30'000};
  Breaker host;
};

}  // namespace docmill
