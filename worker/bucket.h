#pragma once

// A token bucket: units that come back at a rate, up to a burst. What is taken may pass what is
// there, since a large document must go some time; the debt is waited for before the next one.

#include <cstdint>

namespace docmill {

class Bucket {
 public:
  // Full.
  Bucket(double per_minute, double burst_seconds);

  // When the next request may go; at or before now_ms: now.
  std::int64_t free_at_ms(std::int64_t now_ms) const;
  void take(std::int64_t now_ms, double units);
  // What was reserved and not used.
  void give_back(std::int64_t now_ms, double units);
  // No more than this is there, whatever was before: a provider's own word, or a start.
  void lower_to(std::int64_t now_ms, double level);
  // The level stays, what comes back and the burst change.
  void set_rate(std::int64_t now_ms, double per_minute, double burst_units);

  double level_at(std::int64_t now_ms) const;
  double per_minute() const { return per_ms_ * 60'000; }
  double burst() const { return burst_; }

 private:
  double per_ms_;
  double burst_;
  double level_;
  std::int64_t as_of_ms_ = 0;
};

}  // namespace docmill
