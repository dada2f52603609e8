#include "report/report_source.h"

namespace docmill {

void LedgerSource::each_counted(const TakeCountedJob& take_job,
                                const TakeCountedAttempt& take_attempt) {
  for (const Batch& batch : batches_) reader_.each_counted(batch.id, take_job, take_attempt);
}

void LedgerSource::each_attempt(const TakeAttempt& take) {
  for (const Batch& batch : batches_) reader_.each_attempt(batch.id, take);
}

void LedgerSource::each_document(const TakeDocument& take) {
  for (const Batch& batch : batches_) reader_.each_document(batch.id, take);
}

}  // namespace docmill
