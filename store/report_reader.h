#pragma once

// Requests and documents as reports count them, of a batch at a time. The lists are read in pages
// by id, so that no read snapshot is kept open while somebody prints.

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "store/job_rows.h"
#include "store/report_rows.h"
#include "store/statement.h"

namespace docmill {

class ReportReader {
 public:
  using TakeJob = std::function<void(const JobRow&)>;
  using TakeAttempt = std::function<void(const AttemptRow&)>;
  using TakeDocument = std::function<void(const JobRow&, const std::vector<AttemptRow>&)>;

  explicit ReportReader(Database& db);

  // In the order in which they were opened.
  void each_attempt(BatchId batch, const TakeAttempt& take);
  // In the order of submission; superseded ones, too.
  void each_job(BatchId batch, const TakeJob& take);
  // Each job with its requests, and with those of its pieces.
  void each_document(BatchId batch, const TakeDocument& take);

 private:
  struct Words {
    std::string name, task, tenant;
  };
  const Words& words_of(BatchId batch);
  AttemptRow read_attempt(Cursor& row);
  JobRow read_job(Cursor& row);
  std::vector<JobRow> jobs_after(BatchId batch, JobId last);
  void add_attempts_of_pieces(const JobRow& document, std::vector<AttemptRow>& attempts);

  Database& db_;
  std::map<std::int64_t, Words> words_;  // by batch; they never change
  Statement attempts_, attempts_of_jobs_, attempts_of_pieces_, jobs_;
};

// An id below all of the batch's jobs.
JobId before_jobs(Database& db, BatchId batch);

}  // namespace docmill
