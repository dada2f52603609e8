#pragma once

// One view of the store for many reads, each of which would take and give back the file's locks by
// itself. For a short while: no checkpoint passes it.

#include "store/database.h"

namespace docmill {

class Snapshot {
 public:
  // Outside of any transaction. `db` must outlive it.
  explicit Snapshot(Database& db) : db_(db) { db_.connection().exec("BEGIN"); }
  ~Snapshot() { db_.connection().tryExec("ROLLBACK"); }
  Snapshot(const Snapshot&) = delete;

 private:
  Database& db_;
};

}  // namespace docmill
