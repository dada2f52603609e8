#define VALIJSON_USE_EXCEPTIONS 1  // without it, it aborts

#include "tasks/schema.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/errors.h"
#include "base/pattern.h"
#include "base/text.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::json;
using valijson::adapters::NlohmannJsonAdapter;

constexpr std::size_t kMostProblems = 3;
constexpr int kMostRefs = 64;

// Keywords whose value is a schema, a list of schemas, or schemas by name; and the others.
const std::set<std::string> kOfOne = {"additionalItems",
                                      "additionalProperties",
                                      "contains",
                                      "propertyNames",
                                      "not",
                                      "if",
                                      "then",
                                      "else",
                                      "items"};
const std::set<std::string> kOfList = {"allOf", "anyOf", "oneOf"};
const std::set<std::string> kOfNames = {"properties", "definitions", "$defs"};
const std::set<std::string> kOthers = {"$schema",       "$id",
                                       "$comment",      "$ref",
                                       "title",         "description",
                                       "default",       "examples",
                                       "type",          "enum",
                                       "const",         "multipleOf",
                                       "maximum",       "exclusiveMaximum",
                                       "minimum",       "exclusiveMinimum",
                                       "maxLength",     "minLength",
                                       "pattern",       "maxItems",
                                       "minItems",      "uniqueItems",
                                       "maxProperties", "minProperties",
                                       "required",      "dependencies",
                                       "format",        "readOnly",
                                       "writeOnly",     "deprecated"};
// Where a pattern cannot be looked at on its own.
const std::set<std::string> kBranching = {"anyOf", "oneOf", "not",      "if",
                                          "then",  "else",  "contains", "propertyNames"};

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw UsageError(fmt::format("the schema, at {}: {}", where.empty() ? "its top" : where,
                               printable_line(what)));
}

// Checks every keyword, and leaves a copy that valijson may have.
class Lint {
 public:
  explicit Lint(const json& root) : root_(root) {}

  json cleaned(const json& schema, const std::string& where, bool in_branch) {
    if (schema.is_boolean()) return schema;
    if (!schema.is_object()) refuse(where, "a schema is an object");
    json out = json::object();
    for (const auto& [key, value] : schema.items()) {
      const std::string there = where + "/" + key;
      if (kOfNames.contains(key)) {
        out[key] = cleaned_names(value, there, in_branch);
      } else if (kOfList.contains(key) || (key == "items" && value.is_array())) {
        out[key] = cleaned_list(value, there, in_branch || kBranching.contains(key));
      } else if (kOfOne.contains(key)) {
        out[key] = cleaned(value, there, in_branch || kBranching.contains(key));
      } else if (kOthers.contains(key)) {
        check_other(key, value, there, in_branch);
        const bool is_ours =
            key == "pattern" || (key == "uniqueItems" && is_walked(there, in_branch));
        if (key != "format" && !is_ours) out[key] = value;
      } else {
        refuse(where, fmt::format("\"{}\" is a keyword that docmill does not check", key));
      }
    }
    return out;
  }

 private:
  // Where mismatch() comes by itself: valijson compares each item of a list with each other.
  static bool is_walked(const std::string& where, bool in_branch) {
    return !in_branch && where.find("/definitions/") == std::string::npos &&
           where.find("/$defs/") == std::string::npos;
  }

  json cleaned_names(const json& value, const std::string& where, bool in_branch) {
    if (!value.is_object()) refuse(where, "it is an object of schemas by name");
    json out = json::object();
    for (const auto& [name, schema] : value.items()) {
      out[name] = cleaned(schema, where + "/" + name, in_branch);
    }
    return out;
  }

  json cleaned_list(const json& value, const std::string& where, bool in_branch) {
    if (!value.is_array() || value.empty()) refuse(where, "it is a list of schemas");
    json out = json::array();
    for (const json& schema : value) {
      out.push_back(cleaned(schema, where + "/" + std::to_string(out.size()), in_branch));
    }
    return out;
  }

  void check_other(const std::string& key, const json& value, const std::string& where,
                   bool in_branch) {
    if (key == "$ref") check_ref(value, where);
    if (key != "pattern") return;
    if (!value.is_string()) refuse(where, "a pattern is a string");
    if (in_branch) refuse(where, "a pattern within anyOf, oneOf, not or if is not checked");
    try {
      const Pattern pattern(value.get<std::string>());
    } catch (const UsageError& error) {
      refuse(where, error.what());
    }
  }

  void check_ref(const json& value, const std::string& where) {
    const json* at = &value;
    for (int hops = 0; hops < kMostRefs; ++hops) {
      const std::string ref = at->is_string() ? at->get<std::string>() : "";
      if (ref.empty() || ref[0] != '#') {
        refuse(where, "a $ref is to a place in this schema, such as #/definitions/NAME");
      }
      const json* target = nullptr;
      try {
        const json::json_pointer pointer(ref.substr(1));
        if (!root_.contains(pointer)) refuse(where, fmt::format("there is no {}", ref));
        target = &root_.at(pointer);
      } catch (const json::exception&) {
        refuse(where, fmt::format("{} is no place", ref));
      }
      if (!target->is_object() || !target->contains("$ref")) return;
      at = &target->at("$ref");
    }
    refuse(where, "its $ref leads in a circle");
  }

  const json& root_;
};

std::string place(const valijson::ValidationResults::Error& error) {
  std::string path;
  for (const std::string& part : error.context) {
    if (part == "<root>") continue;
    path += "/" + (part.size() > 2 && part.front() == '[' ? part.substr(1, part.size() - 2) : part);
  }
  return path.empty() ? "the answer" : path;
}

bool has_twice(const json& list) {
  std::set<std::string> seen;
  for (const json& item : list) {
    std::string text = item.dump();
    if (item.is_number_float() && text.ends_with(".0")) text.resize(text.size() - 2);  // 1.0 is 1
    if (!seen.insert(std::move(text)).second) {
      return true;
    }
  }
  return false;
}

}  // namespace

struct JsonSchema::Compiled {
  json root;     // as given, for patterns
  json cleaned;  // as valijson has it
  valijson::Schema schema;
  std::map<std::string, Pattern> patterns;  // by their text

  void gather_patterns(const json& node) {
    if (node.is_object()) {
      const auto pattern = node.find("pattern");
      if (pattern != node.end() && pattern->is_string()) {
        const auto text = pattern->get<std::string>();
        if (!patterns.contains(text)) patterns.emplace(text, Pattern(text));
      }
      for (const auto& [key, value] : node.items()) gather_patterns(value);
    } else if (node.is_array()) {
      for (const json& value : node) gather_patterns(value);
    }
  }

  // The first string that its pattern does not match, or list with an item twice; outside of
  // branches (Lint).
  std::string mismatch(const json& schema_node, const json& value, const std::string& where,
                       int depth) const {
    if (!schema_node.is_object() || depth > kMaxJsonDepth) return {};
    const auto ref = schema_node.find("$ref");
    if (ref != schema_node.end()) {
      const json::json_pointer pointer(ref->get<std::string>().substr(1));
      return mismatch(root.at(pointer), value, where, depth + 1);
    }
    const auto pattern = schema_node.find("pattern");
    if (pattern != schema_node.end() && value.is_string() &&
        !patterns.at(pattern->get<std::string>()).matches(value.get_ref<const std::string&>())) {
      return fmt::format("{}: does not match the pattern {}", where.empty() ? "the answer" : where,
                         pattern->get<std::string>());
    }
    if (const auto all = schema_node.find("allOf"); all != schema_node.end()) {
      for (const json& one : *all) {
        if (auto problem = mismatch(one, value, where, depth + 1); !problem.empty()) return problem;
      }
    }
    return value.is_object()  ? mismatch_in_object(schema_node, value, where, depth)
           : value.is_array() ? mismatch_in_array(schema_node, value, where, depth)
                              : std::string();
  }

  std::string mismatch_in_object(const json& schema_node, const json& value,
                                 const std::string& where, int depth) const {
    static const json none = json::object();
    const auto found = schema_node.find("properties");
    const json& properties = found == schema_node.end() ? none : *found;
    const auto others = schema_node.find("additionalProperties");
    for (const auto& [key, member] : value.items()) {
      const auto property = properties.find(key);
      const json* node = property != properties.end()  ? &*property
                         : others != schema_node.end() ? &*others
                                                       : nullptr;
      if (node == nullptr) continue;
      auto problem = mismatch(*node, member, where + "/" + key, depth + 1);
      if (!problem.empty()) return problem;
    }
    return {};
  }

  std::string mismatch_in_array(const json& schema_node, const json& value,
                                const std::string& where, int depth) const {
    const auto unique = schema_node.find("uniqueItems");
    if (unique != schema_node.end() && *unique == true && has_twice(value)) {
      return fmt::format("{}: an item stands there twice", where.empty() ? "the answer" : where);
    }
    const auto items = schema_node.find("items");
    if (items == schema_node.end()) return {};
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (items->is_array() && i >= items->size()) break;
      const json& node = items->is_array() ? (*items)[i] : *items;
      auto problem = mismatch(node, value[i], where + "/" + std::to_string(i), depth + 1);
      if (!problem.empty()) return problem;
    }
    return {};
  }
};

JsonSchema::JsonSchema(const std::string& text) : compiled_(std::make_unique<Compiled>()) {
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) throw UsageError("a JSON Schema is a JSON object");
  compiled_->root = *parsed;
  compiled_->cleaned = Lint(compiled_->root).cleaned(compiled_->root, "", false);
  compiled_->gather_patterns(compiled_->root);
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(NlohmannJsonAdapter(compiled_->cleaned), compiled_->schema);
  } catch (const std::exception& error) {
    throw UsageError(fmt::format("the schema: {}", printable_line(error.what())));
  }
}

JsonSchema::~JsonSchema() = default;
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;

std::string JsonSchema::problem(const json& value) const {
  valijson::ValidationResults results;
  try {
    valijson::Validator validator;
    if (validator.validate(compiled_->schema, NlohmannJsonAdapter(value), &results)) {
      return printable_line(compiled_->mismatch(compiled_->root, value, "", 0));
    }
  } catch (const std::exception& error) {
    return printable_line(fmt::format("it cannot be checked: {}", error.what()));
  }
  std::string text;
  valijson::ValidationResults::Error error;
  for (std::size_t i = 0; i < kMostProblems && results.popError(error); ++i) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", place(error), error.description);
  }
  return printable_line(utf8_prefix(text.empty() ? "it does not match the schema" : text, 400));
}

}  // namespace docmill
