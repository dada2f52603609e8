#pragma once

// Holds what a store says against what the provider's own log says: the promises P1 to P4, for any
// store and any log, however often the worker died in between. Each function gives back the
// breaches in words; an empty list is the promise kept.

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/process/mill_test.h"

namespace docmill::process_test {

// A store to look at, opened read-only beside whoever works on it.
class StoreView {
 public:
  explicit StoreView(const std::filesystem::path& file);
  std::int64_t number(const std::string& sql);
  std::string text(const std::string& sql);
  std::vector<std::vector<std::string>> rows(const std::string& sql);  // NULL is ""
  SQLite::Database& connection() { return connection_; }

 private:
  SQLite::Database connection_;
};

// Pico-USD per token, as the test wrote them into the config and not as the store has them.
struct TokenPrice {
  std::int64_t input_pusd = 0;
  std::int64_t cached_input_pusd = 0;
  std::int64_t output_pusd = 0;
};
using PriceList = std::map<std::string, TokenPrice>;  // by the model's name at the provider

using Breaches = std::vector<std::string>;

// What the provider charges for the request.
std::int64_t billed_pusd(const LogLine& line, const PriceList& prices);
std::int64_t bill_pusd(const std::vector<LogLine>& log, const PriceList& prices);

// P1, P2: every text is one done job with one output, and that is what the provider answers to
// this very text under the batch's frozen prompt.
Breaches breaches_of_results(StoreView& store, const std::string& batch,
                             const std::vector<Text>& texts);

// P3: every request has a row of its own, numbers run from 1 without a gap, one open attempt a job
// at most, and none for a job that is not running.
Breaches breaches_of_ledger(StoreView& store, const std::vector<LogLine>& log);

// P4: row by row, measured is what was billed, nothing billed is counted as 0, and what is unknown
// is within its ceiling; in sum, measured <= bill <= measured + ceilings open or unknown; and each
// batch's own sums are the ledger's. Holds at every moment, also right after a kill.
Breaches breaches_of_money(StoreView& store, const std::vector<LogLine>& log,
                           const PriceList& prices);

}  // namespace docmill::process_test
