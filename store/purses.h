#pragma once

// The money of batches while a transaction is open: read once, written once, however many requests
// it opens and settles. A batch's row carries its prompts and schema, so each write of it is dear.

#include <cstdint>
#include <map>
#include <optional>

#include "base/strong_id.h"
#include "store/statement.h"

namespace docmill {

class Purses {
 public:
  // `db` must outlive it.
  explicit Purses(Database& db);

  // All in a transaction. What they change is in the batch's row once write() has been called;
  // Transaction::commit() does, and whoever reads the row within the transaction.
  void add(BatchId batch, std::int64_t spent_pusd, std::int64_t reserved_pusd);
  // False: the batch's money with so much more would be beyond what an integer of pico-USD holds.
  bool has_room(BatchId batch, std::int64_t pusd);
  // False, and nothing is reserved, when the cap would be passed.
  bool reserve(BatchId batch, std::int64_t ceiling_pusd);
  void write();
  // At a rollback.
  void forget() { purses_.clear(); }

 private:
  struct Purse {
    std::optional<std::int64_t> cap_pusd;
    std::int64_t spent_pusd = 0, reserved_pusd = 0;
    bool is_changed = false;
  };

  Purse& purse(BatchId batch);

  Database& db_;
  Statement read_, write_;
  std::map<std::int64_t, Purse> purses_;  // by batch; of this transaction
};

}  // namespace docmill
