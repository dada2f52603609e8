#include "worker/metrics.h"

#include <algorithm>

namespace docmill {

void Histogram::add(double value) {
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), value);
  ++counts[static_cast<std::size_t>(bound - bounds.begin())];
  sum += value;
  ++count;
}

}  // namespace docmill
