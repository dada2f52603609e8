#include "store/hours.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "base/text.h"

namespace docmill {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr int kDayMinutes = 24 * 60;
constexpr std::int64_t kMinuteMs = 60'000;
constexpr int kEpochDay = 3;  // 1970-01-01 was a Thursday

struct Range {
  int from = 0;  // minutes of the day
  int until = 0;
};

struct Hours {
  std::array<bool, 7> days{};
  std::vector<Range> times;
};

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    parts.push_back(trimmed(text.substr(start, end - start)));
    start = end + 1;
  }
  return parts;
}

int day_number(std::string_view word) {
  const auto day = std::find(kDays.begin(), kDays.end(), word);
  return day == kDays.end() ? -1 : static_cast<int>(day - kDays.begin());
}

// "09:30" in minutes; -1: it is no time. "24:00" is the end of a day.
int minute_of(std::string_view text) {
  const auto digit = [&](std::size_t at) {
    return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 1000;
  };
  if (text.size() != 5 || text[2] != ':') return -1;
  const int hour = digit(0) * 10 + digit(1);
  const int minute = digit(3) * 10 + digit(4);
  const int total = hour * 60 + minute;
  return minute < 60 && total <= kDayMinutes ? total : -1;
}

bool read_days(std::string_view part, Hours& hours) {
  const std::vector<std::string_view> ends = parts_of(part, '-');
  const int first = day_number(ends.front());
  const int last = day_number(ends.back());
  if (ends.size() > 2 || first < 0 || last < 0) return false;
  for (int day = first;; day = (day + 1) % 7) {
    hours.days[static_cast<std::size_t>(day)] = true;
    if (day == last) return true;
  }
}

bool read_times(std::string_view part, Hours& hours) {
  const std::vector<std::string_view> ends = parts_of(part, '-');
  if (ends.size() != 2) return false;
  const Range range{minute_of(ends[0]), minute_of(ends[1])};
  const bool is_range =
      range.from >= 0 && range.from < kDayMinutes && range.until >= 0 && range.from != range.until;
  hours.times.push_back(range);
  return is_range;
}

std::optional<Hours> parse(std::string_view text) {
  Hours hours;
  bool has_day = false;
  // A space parts the days from the times: read as one more comma.
  std::string list = lower_ascii(text);
  for (std::size_t i = 1; i + 1 < list.size(); ++i) {
    const bool is_time_next = list[i + 1] >= '0' && list[i + 1] <= '9';
    if (list[i] == ' ' && is_time_next && list[i - 1] >= 'a' && list[i - 1] <= 'z') list[i] = ',';
  }
  for (const std::string_view part : parts_of(list, ',')) {
    if (part.empty()) return std::nullopt;
    const bool is_time = part.front() >= '0' && part.front() <= '9';
    if (!is_time && !hours.times.empty()) return std::nullopt;
    has_day |= !is_time;
    if (!(is_time ? read_times(part, hours) : read_days(part, hours))) return std::nullopt;
  }
  if (!has_day) hours.days.fill(true);
  if (hours.times.empty()) hours.times.push_back({0, kDayMinutes});
  return hours;
}

}  // namespace

std::optional<std::string> canonical_hours(std::string_view text) {
  const std::optional<Hours> hours = parse(trimmed(text));
  if (!hours) return std::nullopt;
  std::string days;
  for (std::size_t day = 0; day < kDays.size(); ++day) {
    if (!hours->days[day]) continue;
    std::string name(kDays[day]);
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    days += (days.empty() ? "" : ",") + name;
  }
  std::string times;
  for (const Range& range : hours->times) {
    times += fmt::format("{}{:02}:{:02}-{:02}:{:02}", times.empty() ? "" : ",", range.from / 60,
                         range.from % 60, range.until / 60, range.until % 60);
  }
  return days + " " + times;
}

bool is_within(std::string_view hours_text, std::int64_t at_ms) {
  const std::optional<Hours> hours = parse(hours_text);
  CHECK(hours);
  const std::int64_t minutes = at_ms / kMinuteMs;
  const int minute = static_cast<int>(minutes % kDayMinutes);
  const auto today = static_cast<std::size_t>((minutes / kDayMinutes + kEpochDay) % 7);
  const std::size_t yesterday = (today + 6) % 7;
  return std::any_of(hours->times.begin(), hours->times.end(), [&](const Range& range) {
    if (range.from < range.until) {
      return hours->days[today] && minute >= range.from && minute < range.until;
    }
    return (hours->days[today] && minute >= range.from) ||
           (hours->days[yesterday] && minute < range.until);
  });
}

}  // namespace docmill
