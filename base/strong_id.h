#pragma once

// Row ids of the store, one type for each table, so that a job's id cannot be passed for an
// attempt's. 0 is no row.

#include <compare>
#include <cstdint>

namespace docmill {

template <class Tag>
struct StrongId {
  std::int64_t value = 0;
  auto operator<=>(const StrongId&) const = default;
};

using BatchId = StrongId<struct BatchTag>;
using JobId = StrongId<struct JobTag>;
using AttemptId = StrongId<struct AttemptTag>;
using PriceId = StrongId<struct PriceTag>;
using WorkerId = StrongId<struct WorkerTag>;

}  // namespace docmill
