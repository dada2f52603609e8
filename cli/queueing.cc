#include "cli/queueing.h"

#include <fmt/format.h>

#include <chrono>

#include "base/errors.h"
#include "store/packed.h"
#include "store/snapshot.h"
#include "tasks/new_job.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

using namespace std::chrono_literals;

// So many documents, or bytes, a transaction.
constexpr std::size_t kJobsAtOnce = 1000;
constexpr std::size_t kBytesAtOnce = 16 << 20;

// By the thread that would wait for the other: it is as much work as all of the rest.
void pack(NewJob& job) {
  if (job.text && !job.frame) job.frame = packed(*job.text);
}

}  // namespace

Queueing::Queueing(OpenedQueue& opened, const Batch& batch, Terms terms,
                   std::vector<EstimateRecord> past)
    : opened_(opened),
      batch_(batch),
      terms_(terms),
      counting_(opened.config, std::move(past), opened.clock.now_ms()),
      known_routes_(parse_batch_spec(batch.spec).routes.size()),
      known_spec_(batch.spec) {}

void Queueing::add(Document document, int route, const BatchSpec& spec) {
  bytes_ += document.text.size();
  std::string request = document.error.empty() ? request_hash(spec, document) : "";
  jobs_.push_back(new_job(std::move(document), terms_.priority, route));
  jobs_.back().request_hash = std::move(request);
  const bool is_ahead = queued_.valid() && queued_.wait_for(0s) != std::future_status::ready;
  if (is_ahead) pack(jobs_.back());
  if (jobs_.size() >= kJobsAtOnce || bytes_ >= kBytesAtOnce) flush(spec);
}

Submission Queueing::finish(const BatchSpec& spec) {
  flush(spec);
  count(queued_.get(), spec);
  opened_.queue.seal_in_transaction(batch_.id);
  nudge_worker(opened_.store);
  return counting_.result();
}

void Queueing::flush(const BatchSpec& spec) {
  const Queued before = queued_.valid() ? queued_.get() : Queued{};
  queued_ = std::async(std::launch::async, [this, jobs = std::move(jobs_), spec]() mutable {
    return queue(std::move(jobs), spec);
  });
  jobs_.clear();
  bytes_ = 0;
  count(before, spec);
}

void Queueing::count(const Queued& queued, const BatchSpec& spec) {
  const std::string no_text;
  for (std::size_t i = 0; i < queued.jobs.size(); ++i) {
    const NewJob& job = queued.jobs[i];
    counting_.add({job.item_key, job.text ? *job.text : no_text, job.error_message}, spec,
                  job.route, queued.added[i],
                  job.reuses ? std::optional(job.saved_pusd) : std::nullopt);
  }
}

Queueing::Queued Queueing::queue(std::vector<NewJob> jobs, const BatchSpec& spec) {
  if (spec.routes.size() > known_routes_) write_routes(spec);
  if (!terms_.fresh) take_over_results(jobs, spec);
  for (NewJob& job : jobs) pack(job);
  std::vector<Added> added = opened_.queue.add_in_transaction(batch_.id, jobs);
  nudge_worker(opened_.store);
  return {std::move(jobs), std::move(added)};
}

void Queueing::write_routes(const BatchSpec& spec) {
  JobStore& store = opened_.queue.jobs();
  known_routes_ = spec.routes.size();
  Transaction transaction(opened_.db);
  const std::optional<Batch> row = store.find_batch(batch_.id);
  if (!row || row->spec != known_spec_) {
    throw UsageError(fmt::format(
        "another submit changes batch {}; run this one again when it has ended", batch_.name));
  }
  known_spec_ = to_json_text(spec);
  store.set_spec(batch_.id, known_spec_);
  transaction.commit();
}

void Queueing::take_over_results(std::vector<NewJob>& jobs, const BatchSpec& spec) {
  JobStore& store = opened_.queue.jobs();
  const Snapshot snapshot(opened_.db);
  if (!store.has_results()) return;
  for (NewJob& job : jobs) {
    if (job.request_hash.empty()) continue;
    const auto reuses =
        choose_reuse(store.reusable(job.request_hash, job.content_hash, batch_.tenant),
                     spec.routes[static_cast<std::size_t>(job.route)].chain);
    if (!reuses) continue;
    job.reuses = reuses->job;
    job.saved_pusd = reuses->cost_pusd;
  }
}

}  // namespace docmill
