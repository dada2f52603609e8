#pragma once

// Hours of the week in UTC, at which a provider charges another price: "Mon-Fri 01:00-04:00,
// 06:00-10:00", "Sat,Sun", "22:00-06:00". Days before times; either may be absent. A range of times
// begins with its start and ends before its end; one that passes midnight belongs to the day on
// which it begins.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace docmill {

// The same hours always written the same way: "Mon,Tue,Wed,Thu,Fri 01:00-04:00,06:00-10:00".
// Nothing: it cannot be read.
std::optional<std::string> canonical_hours(std::string_view text);

// `hours` is canonical.
bool is_within(std::string_view hours, std::int64_t at_ms);

}  // namespace docmill
