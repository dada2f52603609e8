#include "llm/json_view.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "llm/json_text.h"

namespace docmill {
namespace {

// Larger texts are rare, and a parser keeps some twelve bytes for each byte of the largest.
constexpr std::size_t kMostQuickBytes = 256 << 10;

// Its buffers are the point: they are kept from one text to the next.
class Parser {
 public:
  Parser(std::size_t most_bytes, std::size_t most_depth)
      : parser_(most_bytes), most_bytes_(most_bytes), most_depth_(most_depth) {}

  std::optional<JsonView> parse(std::string_view text) {
    if (text.size() > most_bytes_) return std::nullopt;
    if (parser_.max_depth() != most_depth_ &&
        parser_.allocate(most_bytes_, most_depth_) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    padded_.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    padded_.assign(text);
    JsonView root;
    if (parser_.parse(padded_.data(), padded_.size(), false).get(root) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    return root;
  }

 private:
  simdjson::dom::parser parser_;
  std::size_t most_bytes_, most_depth_;
  std::string padded_;
};

}  // namespace

std::optional<JsonView> quick_view_json(std::string_view text) {
  thread_local Parser parser(kMostQuickBytes, kMaxJsonDepth);
  return parser.parse(text);
}

std::optional<JsonView> view_json(std::string_view text) {
  thread_local Parser parser(kMostQuickBytes, kMaxJsonDepth);
  thread_local std::unique_ptr<Parser> another;
  another.reset();
  if (const auto root = parser.parse(text)) return root;
  if (!is_bounded_json(text)) return std::nullopt;
  const auto parse_alone = [&](std::string_view one) {
    another = std::make_unique<Parser>(std::max(one.size(), kMostQuickBytes), kMaxJsonDepth + 1);
    return another->parse(one);
  };
  if (text.size() > kMostQuickBytes) {
    if (const auto root = parse_alone(text)) return root;
  }
  const auto value = parse_json(text);
  return value ? parse_alone(to_text(*value)) : std::nullopt;
}

std::optional<JsonView> member(JsonView of, const char* key) {
  std::optional<JsonView> found;
  const std::string_view wanted = key;
  simdjson::dom::object members;
  if (of.get(members) != simdjson::SUCCESS) return found;
  for (const auto& [name, value] : members) {
    if (name == wanted) found = value;
  }
  return found;
}

std::optional<JsonView> object_at(JsonView of, const char* key) {
  const auto value = member(of, key);
  return value && value->is_object() ? value : std::nullopt;
}

std::optional<simdjson::dom::array> filled_array_at(JsonView of, const char* key) {
  const auto value = member(of, key);
  simdjson::dom::array array;
  if (!value || value->get(array) != simdjson::SUCCESS || array.begin() == array.end()) {
    return std::nullopt;
  }
  return array;
}

bool has_error(JsonView of) {
  const auto error = member(of, "error");
  if (!error || error->is_null()) return false;
  simdjson::dom::object members;
  std::string_view word;
  const bool is_empty = (error->get(members) == simdjson::SUCCESS && members.size() == 0) ||
                        (error->get(word) == simdjson::SUCCESS && word.empty());
  return !is_empty || (!filled_array_at(of, "choices") && !filled_array_at(of, "content"));
}

std::string_view word_at(JsonView of, const char* key) {
  const auto value = member(of, key);
  std::string_view word;
  if (!value || value->get(word) != simdjson::SUCCESS) return {};
  return word;
}

bool add_text(JsonView content, std::string& text) {
  const std::size_t before = text.size();
  std::string_view whole;
  simdjson::dom::array parts;
  if (content.get(whole) == simdjson::SUCCESS) {
    text += whole;
  } else if (content.get(parts) == simdjson::SUCCESS) {
    for (const JsonView part : parts) {
      if (word_at(part, "type") == "text") text += word_at(part, "text");
    }
  }
  return text.size() > before;
}

std::string to_text(JsonView value) {
  return simdjson::minify(value);
}

}  // namespace docmill
