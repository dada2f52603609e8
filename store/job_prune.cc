// What a batch loses once it has ended and was handed out; its rows and the ledger stay.

#include <optional>
#include <utility>
#include <vector>

#include "store/job_store.h"

namespace docmill {

void JobStore::set_exported(BatchId id, std::int64_t at_ms) {
  set_exported_.change(id, at_ms);
}

void JobStore::set_pruned(BatchId id, std::int64_t at_ms) {
  set_pruned_.change(id, at_ms);
}

Pruned JobStore::prune(BatchId batch, JobId after, JobId last, int limit) {
  std::vector<std::pair<JobId, std::optional<std::int64_t>>> jobs;
  for (Cursor row = prunable_.run(batch, after, limit, last); row.next();) {
    jobs.emplace_back(JobId{row.integer(0)}, row.maybe_integer(1));
  }
  for (const auto& [job, input] : jobs) {
    drop_output_.change(job);
    drop_extra_.change(job);
    if (input && drop_text_.change(job) == 1) texts_.drop(*input);
  }
  Pruned pruned{static_cast<int>(jobs.size()), std::nullopt};
  if (!jobs.empty()) pruned.last = jobs.back().first;
  return pruned;
}

}  // namespace docmill
