#pragma once

// Which ends of batches somebody still has to be told of. An end is told at least once: whoever
// tells notes it after, so a crash in between repeats it.

#include <cstdint>
#include <optional>
#include <string>

#include "base/strong_id.h"
#include "store/statement.h"

namespace docmill {

class BatchEnds {
 public:
  explicit BatchEnds(Database& db);

  struct End {
    BatchId batch;
    std::string name;
  };
  // The first that was not told; reads an index of those alone.
  std::optional<End> first_untold();
  // Notes run in the caller's transaction.
  void note_told(BatchId batch, std::int64_t now_ms);
  // Nobody is to be told of what has ended so far.
  void note_all_told();

 private:
  Statement first_, told_, all_told_;
};

}  // namespace docmill
