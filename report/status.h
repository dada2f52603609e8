#pragma once

// What `status` shows: the worker, the batches, what binds them, and what to do next.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/reader.h"
#include "store/write_lock.h"

namespace docmill {

struct BatchWait {
  std::string reason;
  std::int64_t jobs = 0;
  std::optional<std::int64_t> until_ms;
  std::string next_step;
};

struct BatchStatus {
  Batch batch;
  std::string state;  // submitting, running, paused, held, finished, cancelled
  std::string held_reason;
  JobCounts counts;
  TextBytes text_bytes;  // of what its cap holds; else not read
  BatchMoney money;
  std::vector<ErrorCount> errors;
  std::vector<ModelActivity> models;  // filled by who shows them: reading them takes long
  std::optional<std::int64_t> next_retry_ms;
  double rate_per_minute = 0;
  std::optional<std::int64_t> eta_seconds;
  std::string bound_by;  // empty: nothing binds
  std::vector<BatchWait> waits;
};

struct StoreStatus {
  std::string store;
  std::optional<WorkerSeen> worker;
  std::vector<BatchStatus> batches;
  std::int64_t now_ms = 0;
};

// `only` empty: all batches.
StoreStatus read_status(StoreReader& reader, const std::filesystem::path& store,
                        const std::string& only, std::int64_t now_ms);

std::string state_of(const Batch& batch, const JobCounts& counts);

std::string status_json(const StoreStatus& status);
// `all`: finished batches, too.
std::string status_table(const StoreStatus& status, bool all);
// One batch in full; several lines.
std::string status_view(const BatchStatus& status, const StoreStatus& store);
// One line, for logs and pipes.
std::string status_line(const BatchStatus& status);

// The exit code of a command that saw the batch to its end: 0, 1 some failed, 4 a person is needed.
int exit_code_of(const BatchStatus& status);

}  // namespace docmill
