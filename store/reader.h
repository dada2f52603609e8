#pragma once

// What the commands that only look read from the store. Long lists are read in pages by id, so that
// no read snapshot is kept open while somebody prints.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/job_store.h"
#include "store/price.h"
#include "store/statement.h"

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
  std::vector<std::int64_t> total_ms;  // sorted
};

// How many tokens requests had, by estimate and by the provider's count.
struct EstimateRecord {
  std::string model;
  std::int64_t requests = 0;
  std::int64_t estimated_tokens = 0;
  std::int64_t reported_tokens = 0;
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
};

// A ledger row with what reports group and count by.
struct AttemptRow {
  AttemptId id;
  JobId job;
  std::string batch, task, tenant, item_key;
  int number = 0;
  std::string kind, route, provider, model, model_returned, outcome, cost_basis,
      provider_request_id, service_tier;
  std::int64_t opened_at_ms = 0;
  std::int64_t requests = 1;  // that it stands for: more in a provider's own count
  std::optional<std::int64_t> http_status, ceiling_pusd, cost_pusd, reported_pusd, total_ms;
  std::optional<Usage> usage;
  std::optional<PriceId> price;
  bool is_open = false;
};

// A document with the attempt that decided its row in a report.
struct JobRow {
  JobId id;
  std::string batch, task, tenant, item_key, source, state, error_class, error_message;
  std::string provider, model, route;  // of its last attempt; empty: never sent
  std::int64_t at_ms = 0;              // when that was opened, or the document submitted
  bool fell_back = false;
  bool is_superseded = false;  // by another text of the same document: no document of its own
};

class StoreReader {
 public:
  explicit StoreReader(Database& db);

  std::vector<Batch> batches();
  std::optional<Batch> batch(const std::string& name);
  JobCounts counts(BatchId batch);
  BatchMoney money(BatchId batch);
  std::vector<ErrorCount> errors(BatchId batch);
  std::vector<UnknownAttempt> unknown_attempts(BatchId batch);
  std::vector<ProviderPause> pauses();
  // The one that works, or the one that worked last.
  std::optional<WorkerRow> last_worker();
  // Reads all requests of the batch.
  std::vector<ModelActivity> activity(BatchId batch);
  // Of the last 20,000 requests, by model.
  std::vector<EstimateRecord> estimates();
  // When the first of its waiting jobs is due.
  std::optional<std::int64_t> next_retry_ms(BatchId batch);
  // What requests opened since then have cost or may cost, over all batches.
  std::int64_t spending_since(std::int64_t since_ms);
  // Answered since then, as far as the batch's last 20,000 requests tell.
  std::int64_t answers_since(BatchId batch, std::int64_t since_ms);

  // In order of submission. Where a changed document has no result yet, its old one stands.
  // `item_key` empty: all.
  void each_result(BatchId batch, const std::string& item_key,
                   const std::function<void(const ResultRow&)>& take);
  void each_attempt(BatchId batch, const std::function<void(const AttemptRow&)>& take);
  // Superseded ones, too.
  void each_job(BatchId batch, const std::function<void(const JobRow&)>& take);
  void each_document(
      BatchId batch,
      const std::function<void(const JobRow&, const std::vector<AttemptRow>&)>& take);

 private:
  void add_attempts(ResultRow& row);
  const Batch& words_of(BatchId batch);
  AttemptRow read_attempt(Cursor& row);
  JobRow read_job(Cursor& row);
  std::vector<JobRow> jobs_after(BatchId batch, JobId last);
  std::int64_t first_before(BatchId batch);  // an id below all of its jobs

  JobStore jobs_;
  Ledger ledger_;
  std::map<std::int64_t, Batch> words_;  // name, task and tenant, which never change
  Statement batches_, counts_, measured_, open_, unknown_, unpriced_, errors_, worker_, answers_,
      results_, result_by_key_, old_result_, attempts_of_job_, attempts_, attempts_of_jobs_,
      job_rows_, first_job_, next_retry_, activity_, latencies_, estimates_;
};

}  // namespace docmill
