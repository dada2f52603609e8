#include "base/clock.h"

#include <fmt/format.h>

#include <ctime>

namespace docmill {
namespace {

std::int64_t read_ms(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::tm utc(std::int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return parts;
}

bool has_four_digit_year(std::int64_t time_ms) {
  return time_ms >= 0 && time_ms < 253'402'300'800'000;
}

constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

SystemClock::SystemClock() : utc_offset_ms_(read_ms(CLOCK_REALTIME) - read_ms(CLOCK_BOOTTIME)) {}

std::int64_t SystemClock::now_ms() const {
  return utc_offset_ms_ + read_ms(CLOCK_BOOTTIME);
}

std::int64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

std::string iso_time(std::int64_t time_ms) {
  if (!has_four_digit_year(time_ms)) return std::to_string(time_ms);
  const std::tm t = utc(time_ms);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, time_ms % 1000);
}

std::string clock_time(std::int64_t time_ms) {
  const std::tm t = utc(time_ms);
  return fmt::format("{:02}:{:02}:{:02}", t.tm_hour, t.tm_min, t.tm_sec);
}

std::string short_time(std::int64_t time_ms) {
  const std::tm t = utc(time_ms);
  return fmt::format("{} {} {:02}:{:02}", t.tm_mday, kMonths[t.tm_mon], t.tm_hour, t.tm_min);
}

std::string iso_day(std::int64_t time_ms) {
  const std::tm t = utc(time_ms);
  return fmt::format("{:04}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
}

std::optional<std::int64_t> parse_iso_time(const std::string& text) {
  std::tm parts{};
  const char* end = strptime(text.c_str(), "%Y-%m-%d", &parts);
  if (end != nullptr && *end == 'T') end = strptime(end, "T%H:%M:%S", &parts);
  if (end != nullptr && *end == 'Z') ++end;
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::int64_t{timegm(&parts)} * 1000;
}

std::string human_duration(std::int64_t duration_ms) {
  if (duration_ms < 0) duration_ms = 0;
  if (duration_ms < 1000) return fmt::format("{} ms", duration_ms);
  const std::int64_t seconds = duration_ms / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) {
    if (seconds % 60 == 0) return fmt::format("{} min", seconds / 60);
    return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  }
  if (seconds < 48 * 3600) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} days", seconds / 86400);
}

}  // namespace docmill
