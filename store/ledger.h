#pragma once

// The ledger: one row for every request, on disk before the request is sent, and never changed
// again once it is settled, except that an unknown outcome may become known.
//
//   open ──▶ settled: usage | provider | zero | unpriced
//        └─▶ unknown ──▶ usage | zero | ceiling | manual   (late answer, or `docmill settle`)
//
// Every method runs in the caller's transaction.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "store/price.h"
#include "store/statement.h"

namespace docmill {

// A request that is about to be sent.
struct NewAttempt {
  JobId job;
  BatchId batch;
  int number = 1;
  WorkerId worker;
  std::string route;
  std::string provider;
  std::string model;        // as the config names it
  std::string model_asked;  // as the provider names it
  std::int64_t opened_at_ms = 0;
  std::int64_t request_bytes = 0;
  std::int64_t max_output_tokens = 0;
  std::int64_t estimated_tokens = 0;         // of its input, as the tokenizer or the rule says
  std::string waited_for;                    // what its job waited for; empty: for nothing long
  std::optional<std::int64_t> ceiling_pusd;  // absent: unpriced
  std::optional<PriceId> ceiling_price;
};

// What became of it.
struct Settlement {
  std::string outcome;  // "answered" or the class of the failure
  std::string error_message;
  std::optional<int> http_status;
  std::string provider_request_id;
  std::string model_returned;
  std::string service_tier;  // as the reply says it
  std::string finish_reason;
  std::optional<Usage> usage;
  std::string usage_json;
  std::optional<PriceId> price;
  std::optional<std::int64_t> cost_pusd;
  std::optional<std::int64_t> reported_pusd;  // what the provider says that it charged
  std::string cost_basis;
  std::optional<std::int64_t> first_byte_ms;
  std::optional<std::int64_t> total_ms;
  std::optional<std::int64_t> provider_ms;
};

// A row without an outcome.
struct OpenAttempt {
  AttemptId id;
  JobId job;
  BatchId batch;
};

// A row whose outcome is unknown.
struct UnknownAttempt {
  AttemptId id;
  BatchId batch;
  int number = 0;
  std::string item_key;
  std::string model;
  std::string outcome;
  std::int64_t opened_at_ms = 0;
  std::optional<std::int64_t> ceiling_pusd;
};

// A request of the last minute, as far as limits go.
struct SentRow {
  std::int64_t opened_at_ms = 0;
  std::int64_t input_tokens = 0;   // as billed, or an estimate from the request's bytes
  std::int64_t output_tokens = 0;  // as billed, or the limit
  std::int64_t cached_tokens = 0;  // read from a cache, beside input_tokens
};

// What counts against a daily or monthly cap: costs, and ceilings that are open or unknown.
struct SpendingRow {
  std::string tenant;
  std::int64_t day_ms = 0;  // its beginning
  std::int64_t pusd = 0;
};

// How the money of a batch changed.
struct MoneyChange {
  std::int64_t spent_pusd = 0;
  std::int64_t reserved_pusd = 0;
};

class Ledger {
 public:
  explicit Ledger(Database& db);

  AttemptId open(const NewAttempt& attempt);

  // Nothing when the row was settled already (and its outcome is known): then nothing is changed.
  // Otherwise what the batch's sums must change by.
  std::optional<MoneyChange> settle(AttemptId id, const Settlement& settlement,
                                    std::int64_t now_ms);

  std::vector<OpenAttempt> open_attempts();
  std::vector<UnknownAttempt> unknown_attempts(BatchId batch);

  WorkerId start_worker(int pid, const std::string& version, std::int64_t now_ms);
  // Published for `status`.
  void publish_worker(WorkerId id, std::int64_t answers, const std::string& waits,
                      std::int64_t now_ms);
  void end_worker(WorkerId id, std::int64_t now_ms);
  // The last worker did not end in order.
  bool was_left_open();
  // Closes the rows of workers that died. How many lives in a row ended without a settled answer.
  int end_dead_workers(std::int64_t now_ms);

  // Requests sent to a model since `since_ms`, newest first.
  std::vector<SentRow> sent_since(const std::string& model, std::int64_t since_ms);
  // What the requests opened since `since_ms` have cost or may cost, by tenant and UTC day. Reads
  // them all: for the start of a worker.
  std::vector<SpendingRow> spending_since(std::int64_t since_ms);

 private:
  Database& db_;
  Statement open_;
  Statement money_of_;
  Statement settle_;
  Statement open_attempts_;
  Statement unknown_attempts_;
  Statement start_worker_;
  Statement publish_worker_;
  Statement end_worker_;
  Statement left_open_;
  Statement dead_workers_;
  Statement last_lives_;
  Statement recent_;
  Statement spending_;
};

}  // namespace docmill
