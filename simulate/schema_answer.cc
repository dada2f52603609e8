// JSON answers: a walk through the schema that the request asked for, with values drawn from the
// digest of both texts. It understands what structured outputs allow (types, enum, const, $ref
// into the schema itself, anyOf, bounds) and nothing of patterns.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "simulate/answer.h"
#include "simulate/digest.h"
#include "simulate/words.h"

namespace docmill {
namespace {

using Json = nlohmann::ordered_json;

// A schema may refer to itself, or ask for a million items: the answer ends somewhere all the same.
constexpr int kDeepest = 12;
constexpr int kMostValues = 2000;
constexpr std::int64_t kMostItems = 64;
constexpr std::int64_t kLongestString = 4000;

class SchemaWalk {
 public:
  SchemaWalk(const Json& root, std::string_view system_text, std::string_view user_text)
      : root_(root),
        user_text_(user_text),
        tag_(simulated_tag(system_text, user_text)),
        draws_(sim::first_word(sim::sha256_pair(system_text, user_text))) {}

  Json value(const Json& schema, int depth);
  Json object(const Json& schema, int depth);

 private:
  const Json& resolve(const Json& schema) const;
  Json array(const Json& schema, int depth);
  Json string(const Json& schema);
  Json integer(const Json& schema);
  Json number(const Json& schema);
  Json of_type(std::string_view type, const Json& schema, int depth);

  const Json& root_;
  std::string_view user_text_;
  std::string tag_;
  sim::Draws draws_;
  int values_ = 0;
};

double bound(const Json& schema, const char* name, double otherwise) {
  const auto found = schema.find(name);
  return found != schema.end() && found->is_number() ? found->get<double>() : otherwise;
}

std::int64_t count_bound(const Json& schema, const char* name, std::int64_t otherwise,
                         std::int64_t most) {
  const double value = bound(schema, name, static_cast<double>(otherwise));
  return static_cast<std::int64_t>(std::clamp(value, 0.0, static_cast<double>(most)));
}

// "string" out of "string" as well as out of ["null", "string"]; what the other keywords imply
// when the type itself is not given.
std::string type_of(const Json& schema) {
  const auto type = schema.find("type");
  if (type != schema.end() && type->is_string()) return type->get<std::string>();
  if (type != schema.end() && type->is_array()) {
    for (const Json& one : *type) {
      if (one.is_string() && one != "null") return one.get<std::string>();
    }
    return "null";
  }
  if (schema.contains("properties")) return "object";
  if (schema.contains("items")) return "array";
  return "string";
}

const Json* first_choice(const Json& schema) {
  if (schema.contains("type") || schema.contains("properties")) return nullptr;
  for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
    const auto found = schema.find(keyword);
    if (found != schema.end() && found->is_array() && !found->empty()) return &found->front();
  }
  return nullptr;
}

// Follows "#/$defs/..." and first choices, a few steps and no further: they may go in a circle.
const Json& SchemaWalk::resolve(const Json& schema) const {
  const Json* at = &schema;
  for (int step = 0; step < kDeepest && at->is_object(); ++step) {
    const auto ref = at->find("$ref");
    if (ref != at->end() && ref->is_string() &&
        ref->get_ref<const std::string&>().starts_with('#')) {
      const std::string path = ref->get<std::string>().substr(1);
      // Escapes in a pointer would need care, and no schema of an answer has them.
      if (path.find('~') != std::string::npos || (!path.empty() && path.front() != '/')) break;
      const Json::json_pointer pointer(path);
      if (!root_.contains(pointer)) break;
      at = &root_.at(pointer);
    } else if (const Json* choice = first_choice(*at)) {
      at = choice;
    } else {
      break;
    }
  }
  return *at;
}

Json SchemaWalk::value(const Json& unresolved, int depth) {
  const Json& schema = resolve(unresolved);
  if (++values_ > kMostValues) return nullptr;
  if (!schema.is_object()) return tag_;  // `true`: anything will do
  if (const auto only = schema.find("const"); only != schema.end()) return *only;
  if (const auto choices = schema.find("enum");
      choices != schema.end() && choices->is_array() && !choices->empty()) {
    return choices->at(draws_.below(choices->size()));
  }
  return of_type(type_of(schema), schema, depth);
}

Json SchemaWalk::of_type(std::string_view type, const Json& schema, int depth) {
  if (type == "object") return depth < kDeepest ? object(schema, depth) : Json::object();
  if (type == "array") return depth < kDeepest ? array(schema, depth) : Json::array();
  if (type == "integer") return integer(schema);
  if (type == "number") return number(schema);
  if (type == "boolean") return draws_.below(2) == 0;
  if (type == "null") return nullptr;
  return string(schema);
}

Json SchemaWalk::object(const Json& schema, int depth) {
  Json object = Json::object();
  if (const auto properties = schema.find("properties");
      properties != schema.end() && properties->is_object()) {
    for (const auto& [name, property] : properties->items()) {
      object[name] = value(property, depth + 1);
    }
  }
  const auto required = schema.find("required");
  if (required == schema.end() || !required->is_array()) return object;
  for (const Json& name : *required) {
    if (name.is_string() && !object.contains(name)) object[name.get<std::string>()] = tag_;
  }
  return object;
}

Json SchemaWalk::array(const Json& schema, int depth) {
  const std::int64_t least = count_bound(schema, "minItems", 1, kMostItems);
  const std::int64_t most = count_bound(schema, "maxItems", least + 2, kMostItems);
  const auto spread = static_cast<std::uint64_t>(std::max<std::int64_t>(0, most - least) + 1);
  const std::int64_t count = std::min(
      most, least + static_cast<std::int64_t>(draws_.below(std::min<std::uint64_t>(spread, 3))));
  Json items = Json::array();
  const auto schema_of_items = schema.find("items");
  const Json any = true;
  for (std::int64_t i = 0; i < count; ++i) {
    items.push_back(value(schema_of_items == schema.end() ? any : *schema_of_items, depth + 1));
  }
  return items;
}

Json SchemaWalk::string(const Json& schema) {
  const auto format = schema.find("format");
  if (format != schema.end() && *format == "date") return "2026-11-23";
  if (format != schema.end() && *format == "date-time") return "2026-11-23T12:00:00Z";
  if (format != schema.end() && *format == "email") return tag_ + "@example.com";
  const std::int64_t least = count_bound(schema, "minLength", 0, kLongestString);
  const std::int64_t most = count_bound(schema, "maxLength", kLongestString, kLongestString);
  std::string text = tag_ + " " + sim::some_words(user_text_, 2, draws_);
  while (std::ssize(text) < least) text += '.';
  // In bytes, and so never above a limit that counts characters.
  text.resize(sim::character_start(text, static_cast<std::size_t>(most)));
  while (std::ssize(text) < least && std::ssize(text) < most) text += '.';
  return text;
}

Json SchemaWalk::integer(const Json& schema) {
  constexpr double kSpread = 1000;
  constexpr double kExact = 9e15;  // doubles up to here are whole numbers without gaps
  const double above = std::floor(bound(schema, "exclusiveMinimum", -kExact)) + 1;
  const double below = std::ceil(bound(schema, "exclusiveMaximum", kExact)) - 1;
  double least = std::max(std::ceil(bound(schema, "minimum", -kExact)), above);
  double most = std::min(std::floor(bound(schema, "maximum", kExact)), below);
  if (least <= -kExact + 1) least = most >= 0 ? 0 : most - kSpread;
  least = std::clamp(least, -kExact, kExact);
  most = std::clamp(most, least, std::min(kExact, least + kSpread));
  const auto spread = static_cast<std::uint64_t>(most - least) + 1;
  return static_cast<std::int64_t>(least) + static_cast<std::int64_t>(draws_.below(spread));
}

Json SchemaWalk::number(const Json& schema) {
  constexpr double kSpread = 1;
  const double above = bound(schema, "exclusiveMinimum", bound(schema, "exclusiveMaximum", 1) - 1);
  const double below = bound(schema, "exclusiveMaximum", above + kSpread);
  const double most = bound(schema, "maximum", bound(schema, "minimum", below - kSpread) + kSpread);
  const double least = bound(schema, "minimum", std::min(above, most));
  // Strictly between both, so that exclusive bounds hold too.
  return least + (most - least) * (0.001 + 0.998 * draws_.unit());
}

Json plain_object(std::string_view system_text, std::string_view user_text) {
  const sim::Digest digest = sim::sha256_pair(system_text, user_text);
  sim::Draws draws(sim::first_word(digest));
  Json words = Json::array();
  for (int i = 0; i < 3; ++i) words.push_back(sim::some_words(user_text, 1, draws));
  return {{"tag", sim::hex(digest, 16)},
          {"summary", simulated_answer(system_text, user_text)},
          {"words", words}};
}

}  // namespace

std::string simulated_json_answer(std::string_view system_text, std::string_view user_text,
                                  std::string_view schema_text) {
  constexpr auto kReplace = Json::error_handler_t::replace;
  const Json schema = Json::parse(schema_text, nullptr, /*allow_exceptions=*/false);
  const bool of_object = schema.is_object() && type_of(schema) == "object";
  if (!of_object && !(schema.is_object() && (schema.contains("$ref") || first_choice(schema)))) {
    return plain_object(system_text, user_text).dump(-1, ' ', false, kReplace);
  }
  SchemaWalk walk(schema, system_text, user_text);
  return walk.value(schema, 0).dump(-1, ' ', false, kReplace);
}

}  // namespace docmill
