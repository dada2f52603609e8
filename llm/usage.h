#pragma once

// A provider's usage object into buckets that do not overlap.

#include <optional>

#include "llm/json_view.h"
#include "llm/model.h"
#include "store/price.h"

namespace docmill {

// Nothing when it is no object, or not to be believed: negative, above kMaxTokens, not integers,
// more cached than input.
std::optional<Usage> read_usage(JsonView usage, const Provider& provider);

// What the provider says that it charged: OpenRouter's usage.cost in USD, and beside it the
// upstream's own charge when that goes to a key of the user's. Nothing: it does not say.
std::optional<std::int64_t> read_reported_pusd(JsonView usage);

}  // namespace docmill
