#include "llm/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text.h"
#include "llm/json_view.h"

namespace docmill {
namespace {

nlohmann::json value_of(JsonView element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::OBJECT: {
      nlohmann::json object = nlohmann::json::object();
      auto& members = object.get_ref<nlohmann::json::object_t&>();
      for (const auto& [key, value] : simdjson::dom::object(element)) {
        members.insert_or_assign(std::string(key), value_of(value));
      }
      return object;
    }
    case element_type::ARRAY: {
      nlohmann::json array = nlohmann::json::array();
      auto& values = array.get_ref<nlohmann::json::array_t&>();
      for (const auto& value : simdjson::dom::array(element)) values.push_back(value_of(value));
      return array;
    }
    case element_type::STRING:
      return std::string(std::string_view(element));
    case element_type::INT64: {
      const std::int64_t number{element};
      // As nlohmann::json reads it: what is not negative has no sign.
      if (number >= 0) return static_cast<std::uint64_t>(number);
      return number;
    }
    case element_type::UINT64:
      return std::uint64_t{element};
    case element_type::DOUBLE:
      return double{element};
    case element_type::BOOL:
      return bool{element};
    case element_type::NULL_VALUE:
      return nullptr;
  }
  CHECK(false);
}

bool needs_escape(unsigned char c) {
  return c < 0x20 || c == '"' || c == '\\';
}

void append_escape(std::string& out, unsigned char c) {
  const auto letter = [&](char after) {
    out.push_back('\\');
    out.push_back(after);
  };
  switch (c) {
    case '"':
    case '\\':
      return letter(static_cast<char>(c));
    case '\b':
      return letter('b');
    case '\f':
      return letter('f');
    case '\n':
      return letter('n');
    case '\r':
      return letter('r');
    case '\t':
      return letter('t');
    default:
      out += fmt::format("\\u{:04x}", c);
  }
}

// The length of the longest beginning that can stand in a JSON string as it is: eight bytes at a
// time, by the usual tests for a byte below n and for a byte equal to n.
std::size_t plain_length(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = 0x8080808080808080;
  const auto has_zero = [](std::uint64_t word) { return (word - kOnes) & ~word & kHighs; };
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    const std::uint64_t below_space = (word - kOnes * 0x20) & ~word & kHighs;
    if (below_space | has_zero(word ^ kOnes * '"') | has_zero(word ^ kOnes * '\\')) break;
  }
  while (at < text.size() && !needs_escape(static_cast<unsigned char>(text[at]))) ++at;
  return at;
}

}  // namespace

bool is_bounded_json(std::string_view text, std::int64_t max_values) {
  int depth = 0;
  int deepest = 0;
  std::int64_t values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
      ++values;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',') {
      ++values;
    }
  }
  return deepest <= kMaxJsonDepth && values <= max_values;
}

std::optional<nlohmann::json> parse_json(std::string_view text, std::int64_t max_values) {
  // The common case, some ten times faster. What simdjson takes exception to is left to the other
  // reader. A value takes a byte at least.
  if (static_cast<std::int64_t>(text.size()) <= max_values) {
    if (const auto value = quick_view_json(text)) return value_of(*value);
  }
  if (!is_bounded_json(text, max_values)) return std::nullopt;
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::string word_at(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string to_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_quoted(std::string& out, std::string_view text) {
  if (!is_valid_utf8(text)) {
    out += to_text(std::string(text));
    return;
  }
  out.push_back('"');
  while (!text.empty()) {
    const std::size_t plain = plain_length(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    append_escape(out, static_cast<unsigned char>(text.front()));
    text.remove_prefix(1);
  }
  out.push_back('"');
}

}  // namespace docmill
