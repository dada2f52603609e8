#pragma once

// What could be started next, and in which order: the open batches, each with a feed for every
// place on its chains. Higher priority first; at equal priority tenants take turns, and batches
// within a tenant, so that ten documents behind a million do not wait for them.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "store/job_store.h"
#include "tasks/batch_spec.h"

namespace docmill {

struct AgendaBatch {
  Batch row;
  const BatchSpec* spec = nullptr;
};

using FeedKey = std::tuple<BatchId, int, int>;  // batch, route, position

// The ready jobs of one batch at one place of one chain, in order.
struct Feed {
  const AgendaBatch* batch = nullptr;
  int route = 0;
  int position = 0;
  std::vector<Job> jobs;
  std::size_t next = 0;
  bool is_fetched = false;
  bool is_smallest_first = false;  // these are the ones that may cost least
  bool is_blocked = false;         // for this turn
  FeedKey key() const { return {batch->row.id, route, position}; }
};

class Agenda {
 public:
  // Reads the open batches. `only_batch` empty: all.
  void reload(JobStore& jobs, const std::string& only_batch);
  const std::vector<AgendaBatch>& batches() const { return batches_; }
  const AgendaBatch* find(BatchId batch) const;

  // Forgets what was read in the last turn.
  void begin_turn();
  // The feed whose turn it is, with at least one job; null when none is left. Reads up to `limit`
  // jobs of a feed at a time.
  Feed* next(JobStore& jobs, int limit);
  // Its head was started, or is out of the way.
  void took(Feed& feed);
  const std::vector<Feed>& feeds() const { return feeds_; }

 private:
  bool refill(Feed& feed, JobStore& jobs, int limit);
  bool goes_before(const Feed& a, const Feed& b) const;

  std::vector<AgendaBatch> batches_;
  std::vector<Feed> feeds_;
  // Specs stay for the process's life: a reply may come back after its batch has ended.
  std::map<BatchId, std::pair<std::string, std::deque<BatchSpec>>> specs_;
  std::map<std::string, std::int64_t> tenant_turn_;  // when it was served last
  std::map<BatchId, std::int64_t> batch_turn_;
  std::int64_t turn_ = 0;
};

}  // namespace docmill
