#include "llm/repair.h"

namespace docmill {

Form repaired(const Form& form, const std::string& complaint) {
  const auto names = [&](const char* word) { return complaint.find(word) != std::string::npos; };
  Form other = form;
  if (names(form.max_tokens_field.c_str()) || names("max_completion_tokens")) {
    // "max_tokens is not supported, use max_completion_tokens instead", or the other way round.
    const bool is_new = form.max_tokens_field == "max_completion_tokens";
    other.max_tokens_field = is_new ? "max_tokens" : "max_completion_tokens";
  } else if (form.has_temperature && names("temperature")) {
    other.has_temperature = false;
  } else if (names("response_format") || names("json_schema") || names("json_object")) {
    if (form.json == JsonMode::object) other.json = JsonMode::none;
    if (form.json == JsonMode::schema) other.json = JsonMode::object;
  } else if (form.stream && names("stream")) {
    other.stream = false;
  }
  return other;
}

}  // namespace docmill
