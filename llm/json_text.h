#pragma once

// JSON from strangers, and texts on their way into it.
//
// nlohmann::json parses any depth, and then overflows the stack when such a value is copied or
// written, so the depth is bounded before parsing. What most replies are, small and well-formed, is
// read by simdjson first; whatever that refuses is left to nlohmann::json, whose word holds.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace docmill {

inline constexpr int kMaxJsonDepth = 64;
// A value takes some fifty bytes of memory, and may take two of text.
inline constexpr std::int64_t kMaxJsonValues = 500'000;

// Nothing when the text is not JSON, nests deeper than kMaxJsonDepth, or holds more values.
std::optional<nlohmann::json> parse_json(std::string_view text,
                                         std::int64_t max_values = kMaxJsonValues);

// Neither too deep nor too many values, whatever else the text may be.
bool is_bounded_json(std::string_view text, std::int64_t max_values = kMaxJsonValues);

// The string at `key` of an object; empty when there is none.
std::string word_at(const nlohmann::json& object, const char* key);

// One line. Invalid UTF-8 becomes U+FFFD, where dump() alone would throw.
std::string to_text(const nlohmann::json& value);

// The text as a JSON string, with its quotes; the same bytes as to_text() makes of it.
void append_quoted(std::string& out, std::string_view text);

}  // namespace docmill
