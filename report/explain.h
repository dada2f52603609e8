#pragma once

// `explain`: one document's life in plain words, from the ledger alone.

#include <cstdint>
#include <string>
#include <vector>

#include "store/job_life.h"

namespace docmill {

struct Explained {
  std::string batch;
  std::vector<JobLife> lives;  // as read_lives() gives them; at least one
  // Of a document that has not ended: what its batch waits for, in status's words, and what to do.
  std::string bound_by;
  std::string next_step;
};

// Several lines. `with_ids`: the provider's request ids, too.
std::string explain_text(const Explained& explained, bool with_ids);
std::string explain_json(const Explained& explained);

}  // namespace docmill
