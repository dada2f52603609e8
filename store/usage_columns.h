#pragma once

// The ledger's usage as a query reads it.

#include <optional>

#include "store/price.h"
#include "store/statement.h"

#define USAGE_COLUMNS                                                        \
  "a.fresh_tokens, a.cached_tokens, a.cache_write_tokens, a.output_tokens, " \
  "a.reasoning_tokens, coalesce(a.cache_write_1h_tokens, 0)"
constexpr int kUsageColumns = 6;

namespace docmill {

// `first`: where USAGE_COLUMNS begin. Absent: the attempt's usage is not known.
inline std::optional<Usage> read_usage(Cursor& row, int first) {
  if (row.is_null(first)) return std::nullopt;
  return Usage{row.integer(first),     row.integer(first + 1), row.integer(first + 2),
               row.integer(first + 3), row.integer(first + 4), row.integer(first + 5)};
}

}  // namespace docmill
