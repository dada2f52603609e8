#pragma once

// The queue hands out jobs and takes back what became of them.
//
//   submit ──▶ ready ──claim──▶ running ──settle──▶ done | failed | cancelled
//                ▲ ▲               │ │
//             due│ │        recover│ └──settle──▶ ready (next model), waiting, held
//          waiting └───────────────┘
//
// Provider calls happen at least once, results exactly once. The attempt is in the ledger before
// its request leaves, so a crash leaves a record of what may have been billed. Batches hold and
// pause as a whole: their jobs stay ready, so that a million of them cost nothing.

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/policy.h"
#include "store/job_store.h"
#include "store/ledger.h"
#include "store/price_list.h"

namespace docmill {

// Where a job may go from the place on its chain that is asked.
struct Onward {
  int chain_length = 1;
  std::optional<int> larger_position;                // the next with a larger context
  std::optional<int> other_vendor_position;          // the next of another vendor
  std::optional<std::int64_t> raised_output_tokens;  // if its answer is cut off; absent: no more
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
  std::int64_t max_input_tokens = 0;  // a true bound: no tokenizer makes more of the request
  std::int64_t max_output_tokens = 0;
  std::int64_t estimated_tokens = 0;  // of the input
  std::string waited_for;  // what kept the job from this attempt; empty: nothing for long
  std::string asked_tier;  // the service tier that the request asks for; empty: none
  std::optional<PriceRow> price;
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

struct AddedCounts {
  int fresh = 0;
  int changed = 0;
  int unchanged = 0;
};

class JobQueue {
 public:
  // All must outlive the queue. Methods named "in_transaction" below take one themselves; all
  // others run in the caller's.
  JobQueue(Database& db, const Clock& clock, Policy policy);

  // --- submit: each is a transaction of its own, on disk when it returns ---
  // The batch of that name, made from `wanted` if there was none. The caller compares the specs.
  Batch open_batch_in_transaction(const Batch& wanted);
  // Throws UsageError when the batch has been cancelled, also while its submit runs.
  AddedCounts add_in_transaction(BatchId batch, std::span<const NewJob> jobs);
  void seal_in_transaction(BatchId batch);

  // --- the worker's turn ---
  int promote_due();
  // Nothing when the batch's cap does not allow it. An unpriced request reserves nothing; that none
  // is claimed under a cap is for the caller to see to.
  std::optional<Claim> claim(const Job& job, const ClaimTerms& terms);
  // Records how the attempt ended and puts the job where decide() leads. The money is recorded
  // even when the attempt was superseded.
  Settled settle(const Claim& claim, const Outcome& outcome, const Settlement& settlement,
                 const std::optional<Answer>& answer, bool unwanted, double random);
  // The model at `position` cannot take the job: on to the next, or failed, without a request.
  void pass_over(const Job& job, int position, int chain_length, const std::string& error_class,
                 const std::string& why);
  // The batches that ended since the last call, marked finished.
  std::vector<BatchId> finish_ended();
  // A late or a person's word on an attempt whose outcome was unknown. False: it is known.
  bool resolve(AttemptId attempt, BatchId batch, const Word& word);

  // Closes what a dead worker left: its open attempts become unknown, its jobs go back. `suspect`
  // is the job whose bytes it was working on. Called once, under the worker's lock.
  Recovered recover_in_transaction(std::optional<JobId> suspect);

  // --- what a person asks for; each a transaction of its own ---
  // `cut`: also end what is in flight. How many jobs were cancelled.
  int cancel_in_transaction(BatchId batch, bool cut);
  void pause_in_transaction(BatchId batch);
  void resume_in_transaction(BatchId batch, std::optional<std::int64_t> new_cap_pusd);
  int retry_in_transaction(BatchId batch, const std::string& item_key,
                           const std::string& error_class, std::optional<int> route);
  // Drops texts and results of the next few hundred jobs of a batch that has ended. `last` is where
  // to go on; nothing when all are done, or when the batch is open again.
  Pruned prune_in_transaction(BatchId batch, JobId after);
  // The results of an ended batch were handed out, all of them.
  void note_export_in_transaction(BatchId batch);

  JobStore& jobs() { return jobs_; }
  Ledger& ledger() { return ledger_; }
  PriceList& prices() { return prices_; }
  const Policy& policy() const { return policy_; }

 private:
  void move_job(const Claim& claim, const Outcome& outcome, const Decision& decision,
                const std::optional<Answer>& answer, Settled& settled);
  void put_back(const Job& job, AttemptId attempt);

  Database& db_;
  const Clock& clock_;
  Policy policy_;
  JobStore jobs_;
  Ledger ledger_;
  PriceList prices_;
  std::set<BatchId> touched_;  // batches in which a job ended since finish_ended()
};

}  // namespace docmill
