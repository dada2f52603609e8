#pragma once

// Where a report's rows come from: the ledger, or a provider's export of usage.

#include <vector>

#include "store/job_rows.h"
#include "store/report_reader.h"

namespace docmill {

struct ReportSource {
  using TakeCountedJob = ReportReader::TakeCountedJob;
  using TakeCountedAttempt = ReportReader::TakeCountedAttempt;
  using TakeAttempt = ReportReader::TakeAttempt;
  using TakeDocument = ReportReader::TakeDocument;
  virtual ~ReportSource() = default;
  // Each job once and each request once, in no order of note.
  virtual void each_counted(const TakeCountedJob& take_job,
                            const TakeCountedAttempt& take_attempt) = 0;
  virtual void each_attempt(const TakeAttempt& take) = 0;
  // Each job with its requests.
  virtual void each_document(const TakeDocument& take) = 0;
};

class LedgerSource : public ReportSource {
 public:
  // `db` must outlive it.
  LedgerSource(Database& db, std::vector<Batch> batches)
      : reader_(db), batches_(std::move(batches)) {}
  void each_counted(const TakeCountedJob& take_job,
                    const TakeCountedAttempt& take_attempt) override;
  void each_attempt(const TakeAttempt& take) override;
  void each_document(const TakeDocument& take) override;

 private:
  ReportReader reader_;
  std::vector<Batch> batches_;
};

}  // namespace docmill
