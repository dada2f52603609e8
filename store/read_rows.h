#pragma once

// The rows that StoreReader hands out.
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "store/price.h"

namespace docmill {

// Documents, not jobs that another text of the same document superseded.
struct JobCounts {
  std::int64_t ready = 0;
  std::int64_t waiting = 0;
  std::int64_t running = 0;
  std::int64_t held = 0;
  std::int64_t done = 0;
  std::int64_t failed = 0;
  std::int64_t cancelled = 0;
  std::int64_t queued() const { return ready + waiting; }
  std::int64_t total() const {
    return ready + waiting + running + held + done + failed + cancelled;
  }
  std::int64_t ended() const { return done + failed + cancelled; }
};
// So many more in that state.
void add(JobCounts& counts, const std::string& state, std::int64_t jobs);

// Of documents: those that are done, and those that have yet to end.
struct TextBytes {
  std::int64_t done = 0, left = 0;
};

struct BatchMoney {
  std::int64_t measured_pusd = 0;   // the sum of the ledger's costs
  std::int64_t in_flight_pusd = 0;  // ceilings of open attempts
  std::int64_t possible_pusd = 0;   // ceilings of unknown ones
  std::int64_t unknown_requests = 0;
  std::int64_t unpriced_requests = 0;
};

struct ErrorCount {
  std::string error_class;
  std::int64_t jobs = 0;
};

// What one model has done for a batch. Latencies are of its last answers.
struct ModelActivity {
  std::string model;
  std::int64_t answers = 0;
  std::int64_t refusals = 0;  // 429
  std::int64_t errors = 0;    // anything else
  std::int64_t cost_pusd = 0;
  // Input of answers whose usage is known.
  std::int64_t estimated_tokens = 0;
  std::int64_t reported_tokens = 0;
  std::vector<std::int64_t> total_ms;  // sorted
};

// What requests of a task to a model were estimated at, and what came of them.
struct EstimateRecord {
  std::string task;
  std::string model;
  std::int64_t requests = 0;  // that were answered with usage
  std::int64_t estimated_tokens = 0;
  std::int64_t reported_tokens = 0;
  double ratio_squares = 0;  // the sum over requests of (reported / estimated) squared
  std::int64_t output_tokens = 0;
  std::int64_t latency_ms = 0;  // the sum
};

struct WorkerRow {
  std::string waits;  // as published: JSON
  std::int64_t seen_at_ms = 0;
};

// A job with everything that `results` prints. Sums are over its attempts.
struct ResultRow {
  JobId id;
  std::string item_key;
  std::string source;
  std::string state;
  std::string error_class;
  std::string error_message;
  std::string extra;
  std::optional<std::string> output;
  std::string finish_reason;
  std::string model;  // of the last attempt; empty: never sent
  std::string route;
  bool fell_back = false;
  std::int64_t attempts = 0;
  std::optional<Usage> usage;
  std::int64_t cost_pusd = 0;
  std::int64_t possible_pusd = 0;
  bool is_unpriced = false;
  bool is_reused = false;  // its result was paid for by another document
  bool is_cut = false;     // its result was put together from those of its pieces
};

// A piece of a document, and what came of it.
struct ResultPiece {
  std::int64_t begin = 0, end = 0;  // in the document's text, in bytes
  std::string output;
};

}  // namespace docmill
