#pragma once

// Text as people and terminals meet it: UTF-8, sizes, durations, distances between words.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace docmill {

bool is_valid_utf8(std::string_view text);
// Invalid sequences become U+FFFD.
std::string repaired_utf8(std::string_view text);
// The longest prefix of at most `max_bytes` that does not cut a character.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

bool is_blank(std::string_view text);  // only JSON white space, or nothing
std::string_view trimmed(std::string_view text);
std::string lower_ascii(std::string_view text);

// One line, safe to show on a terminal or in a log: control characters and bidi overrides become
// visible escapes, so a document or a provider cannot draw on the screen or forge a log line.
std::string printable_line(std::string_view text);
// The same, but newlines and tabs are kept.
std::string printable_text(std::string_view text);

// "250ms", "30s", "10m", "2h", "90d". Nothing when it is not such a duration or over 1,000 days.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

std::string with_commas(std::int64_t number);
std::string counted(std::int64_t number, std::string_view noun);  // "1 request", "3,000 requests"
std::string human_bytes(std::int64_t bytes);

// The candidate that was probably meant: at most two edits away, or a third of the word.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace docmill
