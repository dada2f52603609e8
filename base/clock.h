#pragma once

// What time it is. Everything else is told; nothing else asks the machine.

#include <cstdint>
#include <optional>
#include <string>

namespace docmill {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970 UTC.
  virtual std::int64_t now_ms() const = 0;
};

// UTC as it was when this was made, plus the time since boot that has passed (which counts
// suspends). A wall clock that is set forward or back does not move it, so no delay fires early
// or never.
class SystemClock : public Clock {
 public:
  SystemClock();
  std::int64_t now_ms() const override;

 private:
  std::int64_t utc_offset_ms_;
};

// CLOCK_MONOTONIC, in microseconds: the time of systemd's messages.
std::int64_t monotonic_us();

// "2026-11-24T09:44:40.123Z". Years outside 1970-9999 are shown as their number of ms.
std::string iso_time(std::int64_t time_ms);
// "09:44:40" and "24 Nov 09:44", both UTC.
std::string clock_time(std::int64_t time_ms);
std::string short_time(std::int64_t time_ms);
// "2026-11-24" of that UTC day.
std::string iso_day(std::int64_t time_ms);
// Reads "2026-11-24" and "2026-11-24T09:00:00Z", UTC. Nothing: it is neither.
std::optional<std::int64_t> parse_iso_time(const std::string& text);
// "850 ms", "41 s", "8 min 23 s", "2 h 5 min", "3 days".
std::string human_duration(std::int64_t duration_ms);

}  // namespace docmill
