#pragma once

// The queue hands out jobs and takes back what became of them.
//
//   submit ──▶ ready ──claim──▶ running ──settle──▶ done | failed | cancelled
//                ▲ ▲               │ │
//             due│ │        recover│ └──settle──▶ ready (next model), waiting, held
//          waiting └───────────────┘
//   ready ──cut──▶ blocked, until its pieces are done ──▶ done, or ready again to combine them
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
#include "queue/claim.h"
#include "queue/policy.h"
#include "store/job_store.h"
#include "store/ledger.h"
#include "store/price_list.h"

namespace docmill {

class JobQueue {
 public:
  // All must outlive the queue. Methods named "in_transaction" below take one themselves; all
  // others run in the caller's.
  JobQueue(Database& db, const Clock& clock, Policy policy);

  // --- submit: each is a transaction of its own, on disk when it returns ---
  // The batch of that name, made from `wanted` if there was none. The caller compares the specs.
  Batch open_batch_in_transaction(const Batch& wanted);
  // What became of each. Throws UsageError when the batch has been cancelled, also while its submit
  // runs.
  std::vector<Added> add_in_transaction(BatchId batch, std::span<const NewJob> jobs);
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
  // The job, which is ready, is blocked by these pieces. False: it is no longer ready.
  bool cut(const Job& job, std::span<const NewPiece> pieces);
  // A job that was blocked is done with what its pieces gave, `attempt` the last of theirs.
  // `changed`: how a translation's structure differs from its source's; empty: it does not.
  void finish_whole(JobId job, BatchId batch, AttemptId attempt, const std::string& output,
                    const std::string& changed);
  // ... or fails: what they gave, this piece the last of them, is no result.
  void fail_whole(JobId piece, BatchId batch, const std::string& error_class,
                  const std::string& why);
  // The batches that ended since the last call, marked finished.
  std::vector<BatchId> finish_ended();
  // A late or a person's word on an attempt whose outcome was unknown. False: it is known.
  bool resolve(AttemptId attempt, BatchId batch, const Word& word);

  // Closes what a dead worker left: its open attempts become unknown, its jobs go back. `suspects`
  // are the jobs whose bytes it was working on. Called once, under the worker's lock.
  Recovered recover_in_transaction(std::span<const JobId> suspects);

  // --- what a person asks for; each a transaction of its own ---
  // A batch that a submit made and could not fill; one with documents stays.
  void drop_empty_in_transaction(BatchId batch);
  // `cut`: also end what is in flight. How many jobs were cancelled.
  int cancel_in_transaction(BatchId batch, bool cut);
  void pause_in_transaction(BatchId batch);
  void resume_in_transaction(BatchId batch, std::optional<std::int64_t> new_cap_pusd);
  // Drops texts and results of the next few hundred jobs of a batch that has ended, after `after`
  // and up to `last`. Its own `last` is where to go on; nothing when all are done, or when the
  // batch is open again.
  Pruned prune_in_transaction(BatchId batch, JobId after, JobId last);
  // The results of an ended batch were handed out, all of them.
  void note_export_in_transaction(BatchId batch);

  // In the caller's transaction. Failed and held documents once more: that one, or those of the
  // class, or all; `route` absent: on the route that they had. How many.
  int retry(BatchId batch, const std::string& item_key, const std::string& error_class,
            std::optional<int> route);

  JobStore& jobs() { return jobs_; }
  Ledger& ledger() { return ledger_; }
  PriceList& prices() { return prices_; }
  const Policy& policy() const { return policy_; }
  void set_policy(const Policy& policy) { policy_ = policy; }

 private:
  void move_job(const Claim& claim, const Outcome& outcome, const Decision& decision,
                const std::optional<Answer>& answer, Settled& settled);
  void put_back(const Job& job, AttemptId attempt);
  bool is_unwanted(const Job& job);
  void end_above(const Job& piece, const JobChange& change);

  Database& db_;
  const Clock& clock_;
  Policy policy_;
  JobStore jobs_;
  Ledger ledger_;
  PriceList prices_;
  std::set<BatchId> touched_;  // batches in which a job ended since finish_ended()
};

}  // namespace docmill
