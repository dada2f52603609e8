#include "llm/json_span.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace docmill {
namespace {

std::size_t skip_space(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(" \t\r\n", at), text.size());
}

std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

std::size_t skip_value(std::string_view text, std::size_t at) {
  if (at < text.size() && text[at] == '"') return skip_string(text, at);
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return at;  // the end of what holds a bare value
      if (--depth == 0) return at + 1;
    }
    if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n')) return at;
    ++at;
  }
  return at;
}

struct Member {
  std::string_view name, value;  // both as they are written
};

std::optional<Member> find_member(std::string_view object, std::string_view key) {
  std::optional<Member> found;
  std::size_t at = skip_space(object, 0) + 1;  // after the brace
  while ((at = skip_space(object, at)) < object.size() && object[at] == '"') {
    const std::string_view written = object.substr(at, skip_string(object, at) - at);
    // A key may be written with escapes.
    const auto name = nlohmann::json::parse(written, nullptr, false);
    const std::size_t begin = skip_space(object, skip_space(object, at + written.size()) + 1);
    const std::size_t end = skip_value(object, begin);
    if (name.is_string() && name.get_ref<const std::string&>() == key) {
      found = Member{written, object.substr(begin, end - begin)};
    }
    at = skip_space(object, end);
    if (at < object.size() && object[at] == ',') ++at;
  }
  return found;
}

}  // namespace

std::optional<std::string_view> member_text(std::string_view object, std::string_view key) {
  const std::optional<Member> member = find_member(object, key);
  return member ? std::optional(member->value) : std::nullopt;
}

std::string with_renamed_member(std::string_view object, std::string_view key,
                                std::string_view name) {
  std::string out(object);
  if (const auto member = find_member(object, key)) {
    out.replace(static_cast<std::size_t>(member->name.data() - object.data()), member->name.size(),
                fmt::format("\"{}\"", name));
  }
  return out;
}

std::string with_member(std::string_view object, std::string_view key, std::string_view value) {
  std::string out(object);
  if (const auto old = member_text(object, key)) {
    out.replace(static_cast<std::size_t>(old->data() - object.data()), old->size(), value);
    return out;
  }
  const std::size_t brace = skip_space(object, 0);
  const bool is_empty = object[skip_space(object, brace + 1)] == '}';
  out.insert(brace + 1, fmt::format("\"{}\": {}{}", key, value, is_empty ? "" : ", "));
  return out;
}

}  // namespace docmill
