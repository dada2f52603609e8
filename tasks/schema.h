#pragma once

// JSON Schema (draft 7, and the $defs of later ones): what an extraction's answer is held against.
// By valijson, without what it would ignore or would do with std::regex: unknown keywords are
// refused at submit, `format` is for the model alone, and `pattern` is PCRE2's.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace docmill {

class JsonSchema {
 public:
  // Throws UsageError that names what is wrong, and where in the schema.
  explicit JsonSchema(const std::string& text);
  ~JsonSchema();
  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;

  // Empty: the value is valid. Else what is wrong, in a line that a model understands.
  std::string problem(const nlohmann::json& value) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace docmill
