#pragma once

// The queue as a whole, for monitoring.

#include <cstdint>
#include <optional>

#include "store/database.h"
#include "store/read_rows.h"

namespace docmill {

// Documents are those of batches that have not ended.
struct QueueFigures {
  JobCounts documents;
  std::optional<std::int64_t> oldest_ms;  // when the first that waits was submitted
  std::int64_t open_batches = 0;
  std::int64_t held_batches = 0;
  std::int64_t paused_batches = 0;
  std::int64_t unknown_attempts = 0;  // of all batches: they may have been billed
  std::int64_t possible_pusd = 0;     // and so much at most
};

// Reads an index over those documents: some 30 ms a million.
QueueFigures read_queue_figures(Database& db);

}  // namespace docmill
