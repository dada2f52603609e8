#include "queue/job_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/errors.h"
#include "base/money.h"

namespace docmill {
namespace {

// How many due jobs one turn brings back; the rest come in the next.
constexpr int kPromotedAtOnce = 1000;
constexpr int kPrunedAtOnce = 500;

bool ends_job(Move move) {
  return move == Move::done || move == Move::fail || move == Move::cancel;
}

JobChange change_for(const Claim& claim, const Outcome& outcome, const Decision& decision,
                     std::int64_t now_ms) {
  JobChange change;
  change.position = claim.job.position;
  change.tries = claim.job.tries + (decision.counts_try ? 1 : 0);
  change.unsure = claim.job.unsure + (decision.counts_try && is_costly(outcome) ? 1 : 0);
  change.uncounted_requests = decision.counts_request ? 0 : 1;
  if (!outcome.error_class.empty()) {
    change.error_class = outcome.error_class;
    change.error_message = outcome.error_message;
  }
  switch (decision.move) {
    case Move::done:
      change.state = "done";
      break;
    case Move::fail:
      change.state = "failed";
      break;
    case Move::cancel:
      change.state = "cancelled";
      break;
    case Move::hold:
      change.state = "held";
      break;
    case Move::give_back:
    case Move::split:  // the caller cuts it now
      change.state = "ready";
      break;
    case Move::retry:
      change.state = "waiting";
      change.run_at_ms = decision.run_at_ms;
      if (decision.raises_limit) change.raised_output_tokens = claim.onward.raised_output_tokens;
      break;
    case Move::fall_back:
      change.state = "ready";
      change.position = decision.position;
      change.tries = 0;
      change.unsure = 0;
      break;
  }
  if (ends_job(decision.move)) change.finished_at_ms = now_ms;
  return change;
}

}  // namespace

JobQueue::JobQueue(Database& db, const Clock& clock, Policy policy)
    : db_(db), clock_(clock), policy_(policy), jobs_(db), ledger_(db), prices_(db) {}

Batch JobQueue::open_batch_in_transaction(const Batch& wanted) {
  Transaction transaction(db_);
  std::optional<Batch> batch = jobs_.batch(wanted.name);
  if (!batch) {
    Batch fresh = wanted;
    fresh.created_at_ms = clock_.now_ms();
    batch = jobs_.batch(jobs_.insert_batch(fresh));
  }
  transaction.commit();
  return *batch;
}

std::vector<Added> JobQueue::add_in_transaction(BatchId batch, std::span<const NewJob> jobs) {
  Transaction transaction(db_);
  const std::optional<Batch> row = jobs_.find_batch(batch);
  if (!row) {
    throw UsageError("another submit had made this batch, and failed; run this one again");
  }
  if (row->cancelled_at_ms) {
    throw UsageError(fmt::format("batch {} was cancelled; give another --batch NAME", row->name));
  }
  std::vector<Added> added;
  const std::int64_t now_ms = clock_.now_ms();
  for (const NewJob& job : jobs) added.push_back(jobs_.add(batch, job, now_ms));
  const bool is_any_new =
      std::any_of(added.begin(), added.end(), [](Added one) { return one != Added::unchanged; });
  if (is_any_new) {
    jobs_.reopen(batch);
    jobs_.set_sealed(batch, std::nullopt);  // more may come
  }
  transaction.commit();
  return added;
}

void JobQueue::drop_empty_in_transaction(BatchId batch) {
  Transaction transaction(db_);
  jobs_.drop_if_empty(batch);
  transaction.commit();
}

void JobQueue::seal_in_transaction(BatchId batch) {
  Transaction transaction(db_);
  const std::int64_t now_ms = clock_.now_ms();
  jobs_.set_sealed(batch, now_ms);
  // Nothing may be left to do: every document was unreadable, or done before.
  jobs_.finish_if_ended(batch, now_ms);
  transaction.commit();
}

int JobQueue::promote_due() {
  return jobs_.promote_due(clock_.now_ms(), kPromotedAtOnce);
}

std::optional<Claim> JobQueue::claim(const Job& job, const ClaimTerms& terms) {
  CHECK(terms.position >= job.position && terms.position < terms.onward.chain_length);
  NewAttempt attempt;
  attempt.job = job.id;
  attempt.batch = job.batch;
  attempt.number = job.requests + 1;
  attempt.worker = terms.worker;
  attempt.route = terms.route;
  attempt.provider = terms.provider;
  attempt.model = terms.model;
  attempt.model_asked = terms.model_asked;
  attempt.opened_at_ms = clock_.now_ms();
  attempt.request_bytes = terms.request_bytes;
  attempt.max_output_tokens = terms.max_output_tokens;
  attempt.estimated_tokens = terms.estimated_tokens;
  attempt.waited_for = terms.waited_for;
  if (terms.price) {
    attempt.ceiling_pusd = terms.ceiling_pusd;
    attempt.ceiling_price = terms.price->id;
  }
  if (!jobs_.reserve(job.batch, attempt.ceiling_pusd.value_or(0))) return std::nullopt;
  Claim claim;
  claim.job = job;
  claim.job.requests = attempt.number;
  if (terms.position != job.position) claim.job.tries = claim.job.unsure = 0;
  claim.job.position = terms.position;
  claim.attempt = ledger_.open(attempt);
  claim.opened_at_ms = attempt.opened_at_ms;
  claim.onward = terms.onward;
  claim.ceiling_pusd = attempt.ceiling_pusd;
  claim.price = terms.price;
  CHECK(jobs_.set_running(job.id, claim.attempt));
  return claim;
}

Settled JobQueue::settle(const Claim& claim, const Outcome& outcome, const Settlement& settlement,
                         const std::optional<Answer>& answer, bool unwanted, double random) {
  CHECK((outcome.ending == Ending::answered || outcome.ending == Ending::changed_structure) ==
        answer.has_value());
  const std::int64_t now_ms = clock_.now_ms();
  if (ledger_.settle(claim.attempt, settlement, now_ms)) {
    MoneyChange change;
    change.spent_pusd = settlement.cost_pusd.value_or(0);
    // An unknown outcome keeps its ceiling reserved, both when it becomes one and until it is
    // known.
    if (settlement.cost_basis != "unknown") change.reserved_pusd = -claim.ceiling_pusd.value_or(0);
    jobs_.add_money(claim.job.batch, change);
  }
  JobFacts facts;
  facts.chain_position = claim.job.position;
  facts.chain_length = claim.onward.chain_length;
  facts.larger_position = claim.onward.larger_position;
  facts.other_vendor_position = claim.onward.other_vendor_position;
  facts.can_raise = claim.onward.raised_output_tokens.has_value();
  facts.tries = claim.job.tries;
  facts.unsure = claim.job.unsure;
  facts.requests = claim.job.requests - claim.job.requests_before;
  facts.can_split = claim.onward.can_split;
  facts.unwanted = unwanted || (!answer && is_unwanted(claim.job));
  Settled settled;
  settled.decision = decide(facts, outcome, policy_, now_ms, random);
  move_job(claim, outcome, settled.decision, answer, settled);
  settled.passed_ceiling =
      claim.ceiling_pusd && settlement.cost_pusd && *settlement.cost_pusd > *claim.ceiling_pusd;
  if (settled.passed_ceiling && claim.is_capped) {
    jobs_.set_held(claim.job.batch,
                   fmt::format("a request cost {} and its ceiling was {}: the provider bills more "
                               "tokens than were sent and asked for",
                               human_usd(*settlement.cost_pusd), human_usd(*claim.ceiling_pusd)));
  }
  return settled;
}

void JobQueue::move_job(const Claim& claim, const Outcome& outcome, const Decision& decision,
                        const std::optional<Answer>& answer, Settled& settled) {
  JobChange change = change_for(claim, outcome, decision, clock_.now_ms());
  if (decision.move == Move::hold &&
      claim.job.requests - claim.job.requests_before >= policy_.max_requests) {
    change.error_class = "max_requests";
    change.error_message = fmt::format("sent {} times without a result; the last: {}",
                                       policy_.max_requests, outcome.error_message);
  }
  settled.changed_job = jobs_.leave_running(claim.job.id, claim.attempt, change);
  if (!settled.changed_job) return;
  if (decision.move == Move::fail || decision.move == Move::hold) {
    end_above(claim.job, change);
  }
  if (decision.move == Move::done) {
    jobs_.put_output(claim.job.id, claim.attempt, answer->finish_reason, answer->output);
  }
  if (ends_job(decision.move)) touched_.insert(claim.job.batch);
}

void JobQueue::pass_over(const Job& job, int position, int chain_length,
                         const std::string& error_class, const std::string& why) {
  JobChange change;
  change.error_class = error_class;
  change.error_message = why;
  if (position + 1 < chain_length) {
    change.state = "ready";
    change.position = position + 1;
  } else {
    change.state = "failed";
    change.position = position;
    change.finished_at_ms = clock_.now_ms();
    touched_.insert(job.batch);
  }
  CHECK(jobs_.pass_over(job.id, change));
  if (change.state == "failed") end_above(job, change);
}

bool JobQueue::is_unwanted(const Job& job) {
  return job.parent ? jobs_.pieces().is_unwanted(job.id) : jobs_.is_superseded(job.id);
}

// The document ends as its piece did.
void JobQueue::end_above(const Job& piece, const JobChange& change) {
  if (!piece.parent) return;
  jobs_.pieces().end_above(piece.id, change.state, change.error_class.value_or(""),
                           change.error_message.value_or(""), clock_.now_ms());
  touched_.insert(piece.batch);
}

bool JobQueue::cut(const Job& job, std::span<const NewPiece> pieces) {
  return jobs_.pieces().cut(job.id, pieces, clock_.now_ms());
}

void JobQueue::fail_whole(JobId piece, BatchId batch, const std::string& error_class,
                          const std::string& why) {
  jobs_.pieces().end_above(piece, "failed", error_class, why, clock_.now_ms());
  touched_.insert(batch);
}

void JobQueue::finish_whole(JobId job, BatchId batch, AttemptId attempt, const std::string& output,
                            const std::string& changed) {
  jobs_.pieces().finish(job, attempt, output, changed, clock_.now_ms());
  touched_.insert(batch);
}

std::vector<BatchId> JobQueue::finish_ended() {
  std::vector<BatchId> finished;
  const std::int64_t now_ms = clock_.now_ms();
  for (const BatchId batch : touched_) {
    if (jobs_.finish_if_ended(batch, now_ms)) finished.push_back(batch);
  }
  touched_.clear();
  return finished;
}

bool JobQueue::resolve(AttemptId attempt, BatchId batch, const Word& word) {
  const auto change = ledger_.resolve(attempt, word);
  if (!change) return false;
  jobs_.add_money(batch, *change);
  return true;
}

Recovered JobQueue::recover_in_transaction(std::span<const JobId> suspects) {
  Transaction transaction(db_);
  const std::int64_t now_ms = clock_.now_ms();
  Recovered recovered;
  const auto running = jobs_.running();  // they are found by their open attempts
  for (const OpenAttempt& open : ledger_.open_attempts()) {
    Settlement unknown;
    unknown.outcome = "worker_died";
    unknown.error_message = "the worker ended before the answer was on disk";
    unknown.cost_basis = "unknown";
    ledger_.settle(open.id, unknown, now_ms);
    ++recovered.unknown;
  }
  for (const auto& [job, attempt] : running) {
    put_back(job, attempt);
    ++recovered.requeued;
  }
  // One was being rendered, before its claim, or decoded, after it; now it is ready either way.
  for (const JobId suspect : suspects) {
    jobs_.count_crash(suspect);
    const std::string why = fmt::format(
        "the worker died {} times while working on this document's bytes", policy_.max_crashes);
    if (jobs_.hold_after_crashes(suspect, policy_.max_crashes, why)) {
      ++recovered.held;
      jobs_.pieces().end_above(suspect, "held", "crashes", why, now_ms);
    }
  }
  recovered.barren_lives = ledger_.end_dead_workers(now_ms);
  // A clock that was set back, or was wrong at boot, must not keep a job from starting.
  jobs_.clamp_due(now_ms + std::max(policy_.longest_retry_after_ms, policy_.retry_cap_ms));
  for (const Batch& batch : jobs_.open_batches()) jobs_.finish_if_ended(batch.id, now_ms);
  transaction.commit();
  return recovered;
}

void JobQueue::put_back(const Job& job, AttemptId attempt) {
  JobChange change;
  change.position = job.position;
  change.tries = job.tries;
  change.unsure = job.unsure;
  change.state = "ready";
  if (jobs_.batch(job.batch).cancelled_at_ms || is_unwanted(job)) {
    change.state = "cancelled";
    change.finished_at_ms = clock_.now_ms();
  }
  CHECK(jobs_.leave_running(job.id, attempt, change));
}

int JobQueue::cancel_in_transaction(BatchId batch, bool cut) {
  Transaction transaction(db_);
  const std::int64_t now_ms = clock_.now_ms();
  jobs_.set_cancelled(batch, now_ms, cut ? std::optional(now_ms) : std::nullopt);
  const int cancelled = jobs_.cancel_jobs(batch, now_ms);
  if (!jobs_.batch(batch).sealed_at_ms) jobs_.set_sealed(batch, now_ms);
  jobs_.finish_if_ended(batch, now_ms);
  transaction.commit();
  return cancelled;
}

void JobQueue::pause_in_transaction(BatchId batch) {
  Transaction transaction(db_);
  jobs_.set_paused(batch, clock_.now_ms());
  transaction.commit();
}

void JobQueue::resume_in_transaction(BatchId batch, std::optional<std::int64_t> new_cap_pusd) {
  Transaction transaction(db_);
  jobs_.set_paused(batch, std::nullopt);
  jobs_.set_held(batch, std::nullopt);
  if (new_cap_pusd) jobs_.set_cap(batch, new_cap_pusd);
  transaction.commit();
}

Pruned JobQueue::prune_in_transaction(BatchId batch, JobId after, JobId last) {
  Transaction transaction(db_);
  Pruned pruned;
  if (jobs_.batch(batch).finished_at_ms) {
    pruned = jobs_.prune(batch, after, last, kPrunedAtOnce);
    if (!pruned.last) jobs_.set_pruned(batch, clock_.now_ms());
  }
  transaction.commit();
  return pruned;
}

void JobQueue::note_export_in_transaction(BatchId batch) {
  Transaction transaction(db_);
  // It may have been opened again while its results were written.
  if (jobs_.batch(batch).finished_at_ms) jobs_.set_exported(batch, clock_.now_ms());
  transaction.commit();
}

int JobQueue::retry(BatchId batch, const std::string& item_key, const std::string& error_class,
                    std::optional<int> route) {
  const int retried = jobs_.pieces().retry(batch, item_key, error_class, route);
  if (retried > 0) jobs_.reopen(batch);
  return retried;
}

}  // namespace docmill
