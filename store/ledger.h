#pragma once

// The ledger: one row for every request, on disk before the request is sent, and never changed
// again once it is settled, except that an unknown outcome may become known.
//
//   open ──▶ settled: usage | provider | zero | unpriced
//        └─▶ unknown ──▶ usage | estimate | ceiling | manual   (by `docmill settle`)
//
// Every method runs in the caller's transaction.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "store/ledger_rows.h"
#include "store/statement.h"

namespace docmill {

class Ledger {
 public:
  explicit Ledger(Database& db);

  AttemptId open(const NewAttempt& attempt);

  // False when the row was settled already (and its outcome is known): then nothing is changed.
  bool settle(AttemptId id, const Settlement& settlement, std::int64_t now_ms);
  // The same for a row whose outcome is unknown; why it was stays in the row. What the batch's sums
  // must change by.
  std::optional<MoneyChange> resolve(AttemptId id, const Word& word);

  std::vector<OpenAttempt> open_attempts();
  std::vector<UnknownAttempt> unknown_attempts(BatchId batch);
  std::int64_t unknown_count();  // of all batches

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
  // them all: for the start of a worker, and after a person's word.
  std::vector<SpendingRow> spending_since(std::int64_t since_ms);

 private:
  Database& db_;
  Statement open_;
  Statement money_of_;
  Statement settle_, resolve_;
  Statement open_attempts_;
  Statement unknown_attempts_, unknown_count_;
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
