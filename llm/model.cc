#include "llm/model.h"

namespace docmill {

Form form_of(const Model& model) {
  return {model.max_tokens_field, model.temperature.has_value(), model.json, model.stream};
}

std::string unbounded_reason(const Model& model) {
  if (model.unbounded_reasoning) return "unbounded_reasoning";
  if (!model.unbounded_key.empty()) return "\"" + model.unbounded_key + "\" in extra_body";
  // Served as the account is set, priority included.
  if (model.service_tier == "auto") return "service_tier = \"auto\"";
  return "";
}

}  // namespace docmill
