#pragma once

// A disk that loses power or fails, below SQLite: a VFS over the machine's own. While it lives it
// is SQLite's default, so that the store under test needs to know nothing of it.
//
// What was written and not synced is a matter of luck. Of each 512-byte sector the disk remembers
// what was there at the last sync; when the power goes, what was written of it since is kept,
// dropped or turned to garbage, a file that grew or shrank has some length in between, a file whose
// creation was not synced may be missing, and -shm, which is memory, holds anything. From then on
// every operation fails.
//
// The rest of a sector stays as it was: SQLite takes that for granted on unix
// (https://sqlite.org/psow.html), and docmill with it. A disk that does not keep it can lose the
// last commit to the next one's write.

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>

namespace docmill {

class FaultDisk {
 public:
  FaultDisk();
  ~FaultDisk();
  FaultDisk(const FaultDisk&) = delete;

  // At the n-th change from now on (write, truncation, sync, deletion; 1 is the next) the power
  // goes, and `after` is filled with what is found when it is back.
  void cut_power_at(int nth, std::uint64_t seed, std::filesystem::path after);
  bool is_cut() const { return is_cut_; }

  enum class Fault {
    once,      // the n-th operation of any kind fails, a write half-way
    for_good,  // and all that follow
    full,      // every write from the n-th operation on says that the disk is full
  };
  void fail_at(int nth, Fault fault);
  bool has_failed() const { return has_failed_; }
  const std::string& failed_operation() const { return failed_operation_; }

  // Everything works from now on; what was written counts as synced.
  void heal();

  // --- for the VFS ---
  struct Sector {
    std::string before;       // what the last sync left there
    std::int64_t begin, end;  // what of it was written since
  };
  struct File {
    std::map<std::int64_t, Sector> unsynced;  // by number
    std::int64_t synced_size = 0;
    bool is_entry_synced = false;  // the folder knows of it
  };
  // 0, or the error that the operation ends with.
  int attempt(const char* operation, int error);
  // The same for one that changes what is on the disk; called before it does.
  int attempt_change(const char* operation, int error);
  void remember(sqlite3_file* real, File& file, std::int64_t offset, std::int64_t length);
  void synced(sqlite3_file* real, File& file);
  File& file(const std::string& path, bool was_there);
  void forget(const std::string& path) { files_.erase(path); }
  sqlite3_vfs* real() const { return real_; }

 private:
  void lose_power();
  void write_survivor(const std::string& path, File& file);

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::map<std::string, File> files_;  // by full path
  std::mt19937_64 random_;
  std::filesystem::path after_;
  int changes_left_ = 0;     // 0: the power stays
  int operations_left_ = 0;  // 0: nothing fails
  Fault fault_ = Fault::once;
  bool is_cut_ = false;
  bool has_failed_ = false;
  bool has_filled_ = false;
  std::string failed_operation_;
};

}  // namespace docmill
