#pragma once

// A worker put together and run: what `work` and `run` share.

#include <cstdint>
#include <functional>
#include <string>

#include "cli/open.h"

namespace docmill {

struct WorkerLife {
  bool stopped = false;      // a signal ended it
  bool interrupted = false;  // that was SIGINT
  bool all_ended = true;     // no open batch has a job left
  std::int64_t failed = 0;   // failed documents of the batches that it saw end
};

// Takes the worker's lock; when another process has it: nothing, and `refused` says who.
// `on_wait` is called after each wait, at most some 10 times a second, with the store's reader.
std::optional<WorkerLife> live_as_worker(const Global& global, const Config& config,
                                         const std::filesystem::path& store,
                                         const WorkerOptions& options,
                                         const std::function<void(StoreReader&)>& on_wait,
                                         std::string* refused);

// "/var/lib/docmill/docmill.db: pid 4121, up 41 min", for messages.
std::string describe_worker(const std::filesystem::path& store);

}  // namespace docmill
