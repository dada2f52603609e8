#pragma once

// One writer at a time, over all processes, in turn.
//
// flock is not fair: a process that re-takes it at once starves the others. So a writer takes
// <store>.turn, then <store>.write, then lets go of turn: whoever waits for the write lock holds
// the turn, and the last writer has to queue behind it.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/strong_id.h"

namespace docmill {

// Opens (and makes) a lock file beside the store, with the store's owner, group and mode.
Fd open_lock_file(const std::filesystem::path& path, const std::filesystem::path& store);

class WriteLock {
 public:
  explicit WriteLock(const std::filesystem::path& store);

  // Waits until it is ours.
  void lock();
  // False when it is not free; the place in the queue is kept until it is ours or dropped.
  bool try_lock();
  void drop_place();
  void unlock();
  // Who holds it, for messages: the pid that the last holder wrote.
  std::optional<int> holder_pid() const;

 private:
  void note_holder();
  Fd turn_;
  Fd write_;
  bool has_turn_ = false;
  bool has_write_ = false;
};

// The right to be the worker of a store: held for the process's life on <store>.worker, and let go
// by the kernel when it dies, however it dies. The file says who holds it, and which job the
// holder was rendering or decoding, so that a death can be blamed on the right job.
class WorkerLock {
 public:
  // Nothing when a living worker has it (decided within 0.1 s); waits up to 10 s for a migration.
  static std::optional<WorkerLock> take(const std::filesystem::path& store);

  // Now this process is the worker (and not one that only migrates the store).
  void announce(std::int64_t now_ms);
  // The job whose bytes are being worked on, by the worker's thread and by the network's; 0: none.
  // After announce(). A store into mapped memory: it outlives the process, and only a death in the
  // same boot counts.
  void set_suspect(JobId job) { set_suspect(0, job); }
  void set_network_suspect(JobId job) { set_suspect(1, job); }
  // The suspects that the holder before us left behind, if it died in this boot. Read once, before
  // announce().
  std::vector<JobId> suspects_left_behind() const;
  // The holder before us had this very file, in this boot: since then no power was lost, and no
  // copy took the file's place. Before announce().
  bool has_file_as_it_was_left() const;

 private:
  WorkerLock(Fd fd, std::filesystem::path store) : fd_(std::move(fd)), store_(std::move(store)) {}
  struct Unmap {
    void operator()(std::int64_t* suspects) const;
  };
  void set_suspect(std::size_t place, JobId job);

  Fd fd_;
  std::filesystem::path store_;
  std::unique_ptr<std::int64_t, Unmap> suspects_;  // in the file; null before announce()
};

struct WorkerSeen {
  int pid = 0;
  std::int64_t since_ms = 0;
};

// Who holds the write lock when it stays held for a third of a second: nobody does in order. A
// writer that was stopped, or hangs on its disk.
std::optional<int> stuck_writer(const std::filesystem::path& store);

// The worker that holds the store now, or nothing. Takes no lock that anybody could wait for.
std::optional<WorkerSeen> running_worker(const std::filesystem::path& store);

}  // namespace docmill
