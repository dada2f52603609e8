#pragma once

// What the commands that only look read from the store. Long lists are read in pages by id, so that
// no read snapshot is kept open while somebody prints.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/job_store.h"
#include "store/read_rows.h"
#include "store/statement.h"

namespace docmill {

class StoreReader {
 public:
  explicit StoreReader(Database& db);

  std::vector<Batch> batches();
  std::optional<Batch> batch(const std::string& name);
  std::vector<Reusable> reusable(const std::string& request_hash, const std::string& content_hash,
                                 const std::string& tenant) {
    return jobs_.reusable(request_hash, content_hash, tenant);
  }
  // What a submit of the document would say.
  Added would_add(BatchId batch, const std::string& item_key, const std::string& content_hash) {
    return jobs_.would_add(batch, item_key, content_hash);
  }
  JobCounts counts(BatchId batch);
  BatchMoney money(BatchId batch);
  std::vector<ErrorCount> errors(BatchId batch);
  std::vector<UnknownAttempt> unknown_attempts(BatchId batch);
  std::vector<ProviderPause> pauses();
  // The one that works, or the one that worked last.
  std::optional<WorkerRow> last_worker();
  // Reads all requests of the batch.
  std::vector<ModelActivity> activity(BatchId batch);
  // Of the last 20,000 requests, by task and model.
  std::vector<EstimateRecord> estimates();
  // When the first of its waiting jobs is due.
  std::optional<std::int64_t> next_retry_ms(BatchId batch);
  TextBytes text_bytes(BatchId batch);  // walks all of its documents
  // What requests opened since then have cost or may cost, over all batches.
  std::int64_t spending_since(std::int64_t since_ms);
  // Answered since then, as far as the batch's last 20,000 requests tell.
  std::int64_t answers_since(BatchId batch, std::int64_t since_ms);

  // In order of submission. Where a changed document has no result yet, its old one stands.
  // `item_key` empty: all.
  void each_result(BatchId batch, const std::string& item_key,
                   const std::function<void(const ResultRow&)>& take);
  // The documents of the batch in that state, in no order of note; reads no more than an index.
  std::vector<JobId> in_state(BatchId batch, const std::string& state);
  // The job must be there.
  ResultRow result(JobId job);
  // What it was put together from, in order; of a result that was taken over, too.
  // Nothing of pieces that were cut before their places were kept (schema 5), or were pruned.
  std::vector<ResultPiece> result_pieces(JobId job);

 private:
  ResultRow completed(ResultRow row);  // with what the other rows say
  void add_attempts(ResultRow& row);

  Database& db_;
  JobStore jobs_;
  Ledger ledger_;
  Statement batches_, counts_, measured_, open_, unknown_, unpriced_, errors_, worker_, answers_,
      results_, result_by_key_, result_by_id_, result_pieces_, in_state_, old_result_,
      attempts_of_job_, next_retry_, text_bytes_, activity_, latencies_, estimates_;
};

}  // namespace docmill
