// A word is what stands between white space and quotes, ASCII ones only.

#include "simulate/words.h"

#include <algorithm>

namespace docmill::sim {
namespace {

constexpr std::size_t kLongestWordBytes = 24;

bool is_gap(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == ',' || c == '.';
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

std::size_t character_start(std::string_view text, std::size_t at) {
  if (at >= text.size()) return text.size();
  for (std::size_t back = 0; back <= 3 && back <= at; ++back) {
    if (!continues_character(text[at - back])) return at - back;
  }
  return at;
}

std::string_view word_at(std::string_view text, std::size_t at) {
  std::size_t begin = character_start(text, at);
  while (begin < text.size() && is_gap(text[begin])) ++begin;
  const std::size_t earliest = begin - std::min(begin, kLongestWordBytes / 2);
  std::size_t back = begin;
  while (back > earliest && !is_gap(text[back - 1])) --back;
  // No gap nearby: a script without spaces, or a very long word. Take it from where we are.
  if (back == 0 || is_gap(text[back - 1])) begin = back;
  std::size_t end = begin;
  const std::size_t limit = std::min(text.size(), begin + kLongestWordBytes);
  while (end < limit && !is_gap(text[end])) ++end;
  if (end == limit) end = character_start(text, limit);
  return text.substr(begin, end - begin);
}

std::string some_words(std::string_view text, int count, Draws& draws) {
  std::string list;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t at = draws.next();
    const std::string_view word = text.empty() ? "" : word_at(text, at % text.size());
    if (i > 0) list += ", ";
    list += word.empty() ? "nothing" : word;
  }
  return list;
}

}  // namespace docmill::sim
