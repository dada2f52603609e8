#pragma once

// A provider's usage object into buckets that do not overlap.

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "llm/model.h"
#include "store/price.h"

namespace docmill {

// Nothing when it is missing, or not to be believed: negative, above kMaxTokens, not integers,
// more cached than input.
std::optional<Usage> read_usage(const nlohmann::json& body, const Provider& provider);

}  // namespace docmill
