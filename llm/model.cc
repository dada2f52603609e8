#include "llm/model.h"

namespace docmill {

Form form_of(const Model& model) {
  return {model.max_tokens_field, model.temperature.has_value(), model.json, model.stream};
}

}  // namespace docmill
