#include "worker/agenda.h"

#include <algorithm>

#include "base/check.h"

namespace docmill {

void Agenda::reload(JobStore& jobs, const std::string& only_batch) {
  batches_.clear();
  feeds_.clear();
  for (Batch& row : jobs.open_batches()) {
    if (!only_batch.empty() && row.name != only_batch) continue;
    auto& [text, specs] = specs_[row.id];
    if (text != row.spec) {
      specs.push_back(parse_batch_spec(row.spec));
      text = row.spec;
    }
    batches_.push_back({std::move(row), &specs.back()});
  }
  for (const AgendaBatch& batch : batches_) {
    if (!batch.row.may_start()) continue;
    for (std::size_t route = 0; route < batch.spec->routes.size(); ++route) {
      const std::size_t length = batch.spec->routes[route].chain.size();
      for (std::size_t position = 0; position < length; ++position) {
        Feed feed;
        feed.batch = &batch;
        feed.route = static_cast<int>(route);
        feed.position = static_cast<int>(position);
        feeds_.push_back(std::move(feed));
      }
    }
  }
}

const AgendaBatch* Agenda::find(BatchId batch) const {
  for (const AgendaBatch& candidate : batches_) {
    if (candidate.row.id == batch) return &candidate;
  }
  return nullptr;
}

void Agenda::begin_turn() {
  for (Feed& feed : feeds_) {
    feed.jobs.clear();
    feed.next = 0;
    feed.is_fetched = feed.is_blocked = feed.is_smallest_first = false;
  }
}

bool Agenda::refill(Feed& feed, JobStore& jobs, int limit) {
  if (feed.is_blocked) return false;
  if (feed.next < feed.jobs.size()) return true;
  if (feed.is_fetched && feed.jobs.empty()) return false;
  feed.jobs = jobs.ready(feed.batch->row.id, feed.route, feed.position, limit);
  feed.next = 0;
  feed.is_smallest_first = false;
  feed.is_fetched = true;
  return !feed.jobs.empty();
}

bool Agenda::goes_before(const Feed& a, const Feed& b) const {
  const Job& job_a = a.jobs[a.next];
  const Job& job_b = b.jobs[b.next];
  if (job_a.priority != job_b.priority) return job_a.priority > job_b.priority;
  const auto served = [](const auto& turns, const auto& key) {
    const auto it = turns.find(key);
    return it == turns.end() ? std::int64_t{0} : it->second;
  };
  const Batch& batch_a = a.batch->row;
  const Batch& batch_b = b.batch->row;
  const std::int64_t tenant_a = served(tenant_turn_, batch_a.tenant);
  const std::int64_t tenant_b = served(tenant_turn_, batch_b.tenant);
  if (tenant_a != tenant_b) return tenant_a < tenant_b;
  const std::int64_t turn_a = served(batch_turn_, batch_a.id);
  const std::int64_t turn_b = served(batch_turn_, batch_b.id);
  if (turn_a != turn_b) return turn_a < turn_b;
  // Within a batch what has gone furthest down its chain is the oldest business.
  if (a.position != b.position) return a.position > b.position;
  return job_a.id < job_b.id;
}

Feed* Agenda::next(JobStore& jobs, int limit) {
  Feed* best = nullptr;
  for (Feed& feed : feeds_) {
    if (refill(feed, jobs, limit) && (best == nullptr || goes_before(feed, *best))) best = &feed;
  }
  return best;
}

void Agenda::took(Feed& feed) {
  CHECK(feed.next < feed.jobs.size());
  ++feed.next;
  ++turn_;
  tenant_turn_[feed.batch->row.tenant] = turn_;
  batch_turn_[feed.batch->row.id] = turn_;
}

}  // namespace docmill
