#pragma once

// [worker] on_finish: a program that is run once for each batch that has ended, with the batch's
// `status --json` on its stdin. At least once: a worker that dies before it could note that runs it
// again. Batches that ended while nothing was configured are not told.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/memory_file.h"
#include "base/process.h"
#include "store/batch_ends.h"
#include "store/database.h"
#include "store/reader.h"

namespace docmill {

class FinishHook {
 public:
  // All must outlive it.
  FinishHook(const Clock& clock, Database& db, StoreReader& reader)
      : clock_(clock), db_(db), reader_(reader), ends_(db) {}

  // From now on. Empty: none; then what has ended so far is nobody's business.
  void set_command(std::vector<std::string> argv);
  // Starts it when a batch has ended, and looks after the one that runs. Never waits; when to look
  // again, at the latest. Looks for batches only so often, as it is called each turn.
  std::int64_t look();
  // Runs it for all that have ended, each for at most a minute.
  void finish();
  // Waits a little for the one that runs, and starts no other.
  void stop();

 private:
  struct Run {
    BatchEnds::End end;
    MemoryFile status, output;
    std::int64_t until_ms = 0;
    Process process;
    bool has_ended = false;
  };

  std::int64_t look_now();
  void look_after();
  void start_next();
  void judge(const std::optional<Exit>& exit);
  bool note();

  const Clock& clock_;
  Database& db_;
  StoreReader& reader_;
  BatchEnds ends_;
  std::vector<std::string> argv_;
  std::unique_ptr<Run> run_;  // null: none runs
  std::int64_t next_look_ms_ = 0;
};

}  // namespace docmill
