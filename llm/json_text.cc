#include "llm/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace docmill {
namespace {

bool is_bounded(std::string_view text, std::int64_t max_values) {
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

}  // namespace

std::optional<nlohmann::json> parse_json(std::string_view text, std::int64_t max_values) {
  if (!is_bounded(text, max_values)) return std::nullopt;
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

}  // namespace docmill
