// Requests a minute as providers count them: a bucket that fills continuously.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace docmill::sim {

using TimePoint = std::chrono::steady_clock::time_point;

class RateBucket {
 public:
  struct Grant {
    bool allowed;
    std::int64_t limit;      // a minute
    std::int64_t remaining;  // that could be had at once
    std::chrono::microseconds until_next;
    std::chrono::microseconds until_full;  // what providers call "reset"
  };

  // Starts full. `burst` 0: what one second allows, at least 1.
  RateBucket(std::int64_t requests_per_minute, std::int64_t burst, TimePoint now);

  // Takes one request out when there is one; a refusal costs nothing.
  Grant take(TimePoint now);

 private:
  std::int64_t requests_per_minute_;
  double size_;
  double level_;
  TimePoint filled_at_;
};

// As in x-ratelimit-reset-requests: "12ms", "39.801s", "1m4.296s", "6m0s".
std::string go_duration(std::chrono::microseconds duration);

}  // namespace docmill::sim
