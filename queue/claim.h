#pragma once

// What claiming and settling a job say and take: the right to send one request, and what came of
// it.

#include <cstdint>
#include <optional>
#include <string>

#include "queue/policy.h"
#include "store/job_store.h"
#include "store/price.h"

namespace docmill {

// Where a job may go from the place on its chain that is asked.
struct Onward {
  int chain_length = 1;
  std::optional<int> larger_position;                // the next with a larger context
  std::optional<int> other_vendor_position;          // the next of another vendor
  std::optional<std::int64_t> raised_output_tokens;  // if its answer is cut off; absent: no more
  bool can_split = false;                            // its text may be cut into pieces
};

// The right to send one request for one job. `attempt` is the fence: whoever holds an older one
// may still add to the ledger, and may no longer change the job.
struct Claim {
  Job job;  // as it was when it was claimed; position is the one that is asked
  AttemptId attempt;
  std::int64_t opened_at_ms = 0;
  Onward onward;
  bool is_capped = false;  // by its batch's own cap, or one of a period
  std::optional<std::int64_t> ceiling_pusd;
  std::optional<PriceRow> price;  // of the model that was asked, when it was
};

// What a claim writes into the ledger.
struct ClaimTerms {
  int position = 0;  // at or after the job's own: models that rest are passed over
  Onward onward;
  WorkerId worker;
  std::string route;
  std::string provider;
  std::string model;
  std::string model_asked;
  std::int64_t request_bytes = 0;
  std::int64_t max_output_tokens = 0;
  std::int64_t estimated_tokens = 0;  // of the input
  std::string waited_for;  // what kept the job from this attempt; empty: nothing for long
  std::optional<PriceRow> price;
  std::int64_t ceiling_pusd = 0;  // the most that it may cost, when there is a price
};

struct Answer {
  std::string output;
  std::string finish_reason;
};

struct Settled {
  Decision decision;
  bool changed_job = false;  // false: the attempt was superseded, its answer was dropped
  // It cost more than its ceiling; under a cap that held the batch.
  bool passed_ceiling = false;
};

struct Recovered {
  int unknown = 0;       // attempts closed with an unknown outcome
  int requeued = 0;      // jobs that go on
  int held = 0;          // jobs on whose bytes the worker died too often
  int barren_lives = 0;  // lives in a row, the last ones, that settled no answer
};

}  // namespace docmill
