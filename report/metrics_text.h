#pragma once

// A worker and its queue as Prometheus reads them. Names and labels are docs/operations.md's; the
// labels are models, outcomes, states and tenants of the config, so they are bounded.

#include <string>

#include "store/queue_figures.h"
#include "worker/metrics.h"

namespace docmill {

struct MetricsPage {
  WorkerMetrics worker;
  QueueFigures queue;
  std::int64_t wal_bytes = 0;
  std::int64_t store_bytes = 0;
  std::int64_t free_disk_bytes = 0;
  std::int64_t started_ms = 0;
  std::int64_t now_ms = 0;
};

// Prometheus text format 0.0.4.
std::string metrics_text(const MetricsPage& page);

}  // namespace docmill
