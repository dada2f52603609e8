#pragma once

// An estimate as lines for people.

#include <optional>
#include <string>
#include <vector>

#include "tasks/estimate.h"

namespace docmill {

// "tokens  in 42.8 M (41.9-43.6)   out 2.1 M (1.2-12.8, the limit)", cost, time, and, where there
// is a cap, whether it is enough.
std::vector<std::string> estimate_lines(const BatchEstimate& estimate,
                                        const std::optional<std::int64_t>& cap_pusd);

// "812", "15,300", "42.8 M", "1.20 G".
std::string short_count(std::int64_t number);

}  // namespace docmill
