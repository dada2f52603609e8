// The answer is a function of its request, so whoever holds a document can work out what the
// simulator must have said about it: a result that was swapped, stale or made up shows.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace docmill {

// A few sentences with a tag derived from both texts and some words of `user_text`. Where the
// system text speaks of translating: the tag, and `user_text` as it stands.
//
// `system_text` is what the messages with role system or developer say, `user_text` what all
// others say; several messages, or several text parts of one, are joined by a newline.
std::string simulated_answer(std::string_view system_text, std::string_view user_text);

// The 16 hex digits that prose answers to these texts begin with, and that the strings of JSON
// answers begin with where the schema leaves room for them.
std::string simulated_tag(std::string_view system_text, std::string_view user_text);

// A JSON object with all properties that `schema` (JSON Schema, as text) names at its top level,
// whether required or not, each valid for its type. An empty schema, or one that is not an
// object's: an object with "tag", "summary" and "words".
std::string simulated_json_answer(std::string_view system_text, std::string_view user_text,
                                  std::string_view schema);

struct SimulatedUsage {
  std::int64_t prompt_tokens = 0;  // with the cached ones
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
};

// Some four bytes a token, at least one for each side, never more than a token a byte plus one.
// `cached_share` of the prompt, rounded down, counts as cached.
SimulatedUsage simulated_usage(std::string_view system_text, std::string_view user_text,
                               std::string_view answer, double cached_share = 0);

// The longest start of `answer` that takes `max_tokens` tokens or fewer and ends with a whole
// character. Takes exactly `max_tokens` if the answer would take more.
std::string_view simulated_cut(std::string_view answer, std::int64_t max_tokens);

}  // namespace docmill
