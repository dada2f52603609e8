#pragma once

// One document's whole record, for `explain`: its row and every line of the ledger that is its own.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/price.h"

namespace docmill {

struct LifeAttempt {
  int number = 0;
  std::string piece;  // "1.12": the twelfth piece of the first cutting; empty: the document itself
  std::string provider, model, model_asked, model_returned, kind;
  std::string outcome;  // empty: open
  std::string error_message, provider_request_id, finish_reason, cost_basis;
  std::string waited_for;  // before it was opened; empty: nothing for long
  std::string usage_json;  // as it came, or {"estimated":true,...}
  std::int64_t opened_at_ms = 0;
  std::optional<std::int64_t> settled_at_ms, http_status, total_ms, ceiling_pusd, cost_pusd;
  std::optional<Usage> usage;
};

// A cutting of the document.
struct Cutting {
  int level = 1;
  std::int64_t pieces = 0, done = 0;
};

struct JobLife {
  JobId id;
  std::string item_key, source, state, error_class, error_message;
  std::int64_t text_bytes = 0;
  std::int64_t created_at_ms = 0;
  std::optional<std::int64_t> finished_at_ms, run_at_ms;
  std::int64_t crashes = 0;
  bool is_superseded = false;
  std::vector<Cutting> cuttings;  // pieces of pieces not counted
  std::vector<LifeAttempt>
      attempts;  // its own and those of its pieces, in order, at most kMostLifeAttempts
};

inline constexpr int kMostLifeAttempts = 10'000;

// The job that speaks for the document first, then those it superseded, the latest first. Empty:
// the batch has no such document.
std::vector<JobLife> read_lives(Database& db, BatchId batch, const std::string& item_key);

}  // namespace docmill
