#pragma once

// Batches, documents on their way in, and jobs, as JobStore takes and gives them.

#include <cstdint>
#include <optional>
#include <string>

#include "base/strong_id.h"

namespace docmill {

struct Batch {
  BatchId id;
  std::string name;
  std::string task;
  std::string tenant;
  std::string spec;  // frozen at submit; tasks/ reads it
  std::optional<std::int64_t> cap_pusd;
  std::int64_t spent_pusd = 0;
  std::int64_t reserved_pusd = 0;
  std::int64_t created_at_ms = 0;
  std::optional<std::int64_t> sealed_at_ms;
  std::optional<std::int64_t> paused_at_ms;
  std::string paused_reason;  // empty: a person paused it
  std::optional<std::string> held_reason;
  std::optional<std::int64_t> cancelled_at_ms;
  std::optional<std::int64_t> cut_at_ms;
  std::optional<std::int64_t> finished_at_ms;
  std::optional<std::int64_t> exported_at_ms;  // all of its results were handed out
  std::optional<std::int64_t> pruned_at_ms;    // its texts and results were dropped

  bool may_start() const {
    return !paused_at_ms && !held_reason && !cancelled_at_ms && !finished_at_ms;
  }
};

// A document on its way in. Without a text it could not be read, and error says why.
struct NewJob {
  std::string item_key;
  std::string source;
  std::optional<std::string> text;
  std::optional<std::string> frame;  // packed() of the text; absent: the store does it
  std::string content_hash;          // 32 bytes
  std::string request_hash;          // 32 bytes, or empty
  // Its result is that of this job, which was paid for already, and cost so much.
  std::optional<JobId> reuses;
  std::int64_t saved_pusd = 0;
  std::string extra;  // JSON object's text, or empty
  std::int64_t priority = 0;
  int route = 0;
  std::string error_class;
  std::string error_message;
};

// What claiming and settling need of a job.
struct Job {
  JobId id;
  BatchId batch;
  std::int64_t input_id = 0;
  std::int64_t text_bytes = 0;
  std::int64_t priority = 0;
  int route = 0;
  int position = 0;
  int tries = 0;
  int unsure = 0;
  int crashes = 0;
  int requests = 0;         // ever; the next attempt's number is one more
  int requests_before = 0;  // of those, what does not count: before a `docmill retry`, or not sent
  std::int64_t created_at_ms = 0;
  std::optional<std::int64_t> raised_output_tokens;  // an answer was cut off by the usual limit
  std::optional<JobId> parent;                       // of a piece: whose
  int piece = 0;                                     // of a piece: its number
  int level = 0;        // how often it was cut; above 0 its text is what its pieces gave
  int piece_level = 0;  // of a piece: which cutting of its parent it is of
  std::string error_class, error_message;  // of its last attempt, if that failed
};

// A job with a result that the same request would have.
struct Reusable {
  JobId job;
  std::string model;  // that answered
  std::int64_t cost_pusd = 0;
};

// How a job leaves `running`.
struct JobChange {
  std::string state;
  std::optional<std::int64_t> run_at_ms;
  int position = 0;
  int tries = 0;
  int unsure = 0;
  std::optional<std::string> error_class;
  std::optional<std::string> error_message;
  std::optional<std::int64_t> finished_at_ms;
  std::optional<std::int64_t> raised_output_tokens;  // absent: as it was
  int uncounted_requests = 0;                        // of those that were opened, not the job's
};

// A provider, or a model, that starts nothing until it is asked again.
struct ProviderPause {
  std::string key;
  std::string reason;
  std::int64_t since_ms = 0;
  std::int64_t probe_at_ms = 0;
};

enum class Added { fresh, unchanged, changed };

// What one step of pruning dropped, and where the next goes on. `last` absent: nothing was left.
struct Pruned {
  int jobs = 0;
  std::optional<JobId> last;
};

}  // namespace docmill
