#pragma once

// Progress on stderr: a line that is redrawn on a terminal, and elsewhere a line now and then.

#include <cstdint>
#include <string>

#include "cli/open.h"
#include "report/status.h"

namespace docmill {

class Progress {
 public:
  // Shows nothing with --quiet.
  Progress(const Global& global, std::string batch, std::filesystem::path store);
  // Shows the batch's state if it is time to; cheap otherwise.
  void show(StoreReader& reader, std::int64_t now_ms);
  // The last word, so that what follows begins on a line of its own.
  void finish(StoreReader& reader, std::int64_t now_ms);

 private:
  void draw(const BatchStatus& status);
  const Global& global_;
  std::string batch_;
  std::filesystem::path store_;
  bool on_terminal_;
  std::int64_t next_ms_ = 0;
  std::int64_t interval_ms_;
};

}  // namespace docmill
