#pragma once

// The worker's limits, each a number of the config ([worker]) with its default.

#include <cstdint>
#include <optional>
#include <string>

#include "queue/policy.h"
#include "worker/caps.h"

namespace docmill {

struct WorkerOptions {
  int in_flight = 64;  // requests open at once, over all models: the pool
  Policy policy;
  CapOptions caps;
  std::int64_t stop_timeout_ms = 110'000;   // how long a drain may take after SIGTERM
  std::int64_t max_reply_bytes = 16 << 20;  // a longer reply ends its attempt
  // With less of the disk free nothing more is started. Absent: 64 MiB, or an eighth of the disk.
  std::optional<std::int64_t> disk_reserve_bytes;
  std::int64_t pause_probe_ms = 600'000;  // a paused provider is asked again so often
  // A store of up to this size is read whole after any death, in some 0.3 s; a larger one only when
  // power was lost or the file is another.
  std::int64_t quickly_read_bytes = 128 << 20;
  int breaker_failures = 5;                     // in a row; then the model rests
  std::int64_t breaker_cooldown_ms = 30'000;    // and after this one probe goes to it
  std::optional<std::int64_t> longest_life_ms;  // then it stops as by SIGTERM
  bool drain = false;      // stop by itself when nothing is left that can start soon
  std::string only_batch;  // empty: all
  std::uint64_t seed = 0;  // of the jitter
};

}  // namespace docmill
