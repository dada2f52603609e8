#pragma once

// Requests and documents as reports count them, of a batch at a time. The lists are read in pages
// by id, so that no read snapshot is kept open while somebody prints.

#include <cstdint>
#include <functional>
#include <vector>

#include "store/job_rows.h"
#include "store/report_rows.h"
#include "store/statement.h"

namespace docmill {

class ReportReader {
 public:
  using TakeCountedJob = std::function<void(const CountedJob&)>;
  using TakeCountedAttempt = std::function<void(const CountedAttempt&)>;
  using TakeJob = std::function<void(const JobRow&)>;
  using TakeAttempt = std::function<void(const AttemptRow&)>;
  using TakeDocument = std::function<void(const JobRow&, const std::vector<AttemptRow>&)>;

  explicit ReportReader(Database& db);

  // Every request in the order of opening, and every document once, superseded ones, too: after the
  // last of its requests, or at the end when it has none of its own. All of it as it was at one
  // moment, which no checkpoint passes meanwhile, so `take` must not wait for anybody. A row is
  // good until `take` returns.
  void each_counted(BatchId batch, const TakeCountedJob& take_job,
                    const TakeCountedAttempt& take_attempt);

  // In the order in which they were opened.
  void each_attempt(BatchId batch, const TakeAttempt& take);
  // In the order of submission; superseded ones, too.
  void each_job(BatchId batch, const TakeJob& take);
  // Each job with its requests, and with those of its pieces.
  void each_document(BatchId batch, const TakeDocument& take);

 private:
  BatchWords words_of(BatchId batch);
  void each_page(BatchId batch, const BatchWords& words,
                 const std::function<void(const std::vector<JobRow>&)>& take);
  void add_attempts_of_pieces(const JobRow& document, std::vector<AttemptRow>& attempts);

  Database& db_;
  Statement words_, attempts_, attempts_of_jobs_, attempts_of_pieces_, counted_, jobs_,
      unsent_jobs_;
};

// Where the batch's jobs are, among others: `before` is below all of their ids. One without jobs
// has none between them.
struct JobSpan {
  JobId before, last;
};
JobSpan span_of(Database& db, BatchId batch);

}  // namespace docmill
