#pragma once

// Documents on their way into a batch. They are read, hashed, gathered and counted here while those
// before them are queued on a thread of their own, since that takes longer than all of the rest.
//
//   reader:  add() add() add() ... | add() add() ...   | finish()
//   store:                           one transaction     one transaction
//
// The thread alone uses the store until finish() or the destructor returns, and the boundary is one
// list of jobs: at most two lists are in memory.

#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "cli/counting.h"
#include "cli/open.h"
#include "documents/document.h"
#include "tasks/batch_spec.h"

namespace docmill {

class Queueing {
 public:
  struct Terms {
    std::int64_t priority = 0;
    bool fresh = false;  // results that were paid for are not taken over
  };
  // `opened` must outlive it.
  Queueing(OpenedQueue& opened, const Batch& batch, Terms terms, std::vector<EstimateRecord> past);

  // Throws what has befallen those before, as finish() does; those of earlier transactions stay.
  // `spec`: the batch's, with the routes that documents have added.
  void add(Document document, int route, const BatchSpec& spec);
  // All of them are on disk when it returns, and the batch is sealed.
  Submission finish(const BatchSpec& spec);

 private:
  struct Queued {
    std::vector<NewJob> jobs;
    std::vector<Added> added;  // what became of each
  };
  void flush(const BatchSpec& spec);
  void count(const Queued& queued, const BatchSpec& spec);
  // What the thread does.
  Queued queue(std::vector<NewJob> jobs, const BatchSpec& spec);
  void write_routes(const BatchSpec& spec);
  void take_over_results(std::vector<NewJob>& jobs, const BatchSpec& spec);

  OpenedQueue& opened_;
  const Batch batch_;
  const Terms terms_;
  std::vector<NewJob> jobs_;
  std::size_t bytes_ = 0;
  Counting counting_;
  std::size_t known_routes_;  // this and the next are the thread's while it runs
  std::string known_spec_;
  std::future<Queued> queued_;  // the last member: it is waited for before the others go
};

}  // namespace docmill
