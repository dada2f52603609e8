#pragma once

// The store: one SQLite file, opened the same way by every process.
//
// WAL with synchronous=FULL: when a commit returns, its rows survive power loss. SQLite 3.7.0 to
// 3.51.2 can lose commits when a checkpoint and a commit of another connection race
// (sqlite.org/wal.html#walresetbug), so automatic checkpoints are off and every write transaction
// and every checkpoint, in every process, is made under one lock: WriteLock.

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "store/write_lock.h"

struct sqlite3;

namespace docmill {

class Purses;

// Makes a transaction durable. A seam: the crash tests die before or after the n-th.
class Commit {
 public:
  virtual ~Commit() = default;
  virtual void run(SQLite::Database& connection) = 0;
};

class SqliteCommit : public Commit {
 public:
  void run(SQLite::Database& connection) override;
};

enum class Access { read_only, read_write };

class Database {
 public:
  struct Options {
    // A WAL that has grown beyond this, or beyond a quarter of the free space, is moved into the
    // file. Larger ones make checkpoints rarer, and recovery and readers slower.
    std::int64_t large_wal_bytes = 64 << 20;
  };

  // Opens an existing store, at this program's schema. `commit` must outlive it. Throws UsageError
  // when the file is no docmill store, WorldError when it cannot be used: missing, of a newer
  // docmill, on a network file system.
  Database(const std::filesystem::path& file, Access access, Commit& commit, Options options);
  Database(const std::filesystem::path& file, Access access, Commit& commit)
      : Database(file, access, commit, Options{}) {}
  ~Database();
  Database(const Database&) = delete;

  SQLite::Database& connection() { return connection_; }
  const std::filesystem::path& file() const { return file_; }
  WriteLock& write_lock() { return *write_lock_; }
  Purses& purses() { return *purses_; }
  Commit& commit() { return commit_; }

  // Changes when another connection has committed since the last call.
  std::int64_t data_version();
  std::int64_t wal_bytes() const;
  std::int64_t file_bytes() const;  // without the WAL
  std::int64_t free_disk_bytes() const;
  // Takes the room for so much more in the WAL, so that a commit of that size cannot fail for want
  // of it: a quota does not show in what is free. False: the disk has none.
  bool take_room(std::int64_t bytes);
  std::int64_t disk_bytes() const;

  // Empty, or what is damaged. Reads the whole file.
  std::string damage();
  // Gives at most so many unused pages back to the disk; how many are left. In a transaction.
  std::int64_t shrink(int pages);

  // Moves the WAL into the file when it is large; the caller holds the write lock. Never waits for
  // readers. Without room for it the WAL stays as it is, and nothing is lost. Throws what else
  // SQLite says: after a failed sync only a new life knows what is on disk.
  void checkpoint_if_large();
  // Empties the WAL if nobody is in the way. Takes the write lock if it is free at once. Throws as
  // checkpoint_if_large() does.
  void checkpoint_when_idle();

 private:
  void configure(Access access);
  void checkpoint(int mode);
  static int note_wal(void* self, sqlite3*, const char*, int pages);

  std::filesystem::path file_;
  Options options_;
  Commit& commit_;
  SQLite::Database connection_;
  std::unique_ptr<WriteLock> write_lock_;
  std::unique_ptr<SQLite::Statement> data_version_;
  std::unique_ptr<Purses> purses_;
  Fd wal_;  // for take_room(); SQLite puts no locks on that file
  // What the WAL held after our last commit. Its file is no measure: it keeps its greatest length
  // when the WAL starts again from its head.
  std::int64_t wal_content_bytes_ = 0;
  std::int64_t next_checkpoint_bytes_ = 0;
};

// A write transaction, under the write lock. Rolled back unless committed.
class Transaction {
 public:
  // Waits for the lock.
  explicit Transaction(Database& db);
  // Nothing when another process holds the lock; call again soon, a place in the queue is kept.
  static std::unique_ptr<Transaction> try_begin(Database& db);
  ~Transaction();
  Transaction(const Transaction&) = delete;

  // When it returns, everything written since the start is on disk.
  void commit();

 private:
  struct LockIsHeld {};
  Transaction(Database& db, LockIsHeld);
  void end();

  Database& db_;
  bool open_ = false;
};

// Of the library that is loaded, such as "3.40.1".
const char* sqlite_version();

// Throws WorldError, with what to do, when the caller may not look.
bool store_exists(const std::filesystem::path& file);

// What to do about a store that is damaged, for people.
std::string damaged_store(const std::filesystem::path& file, const std::string& damage);
// The same words when SQLite has just met the damage; empty: the error is another.
std::string damage_met(const SQLite::Exception& error);

// A copy of a store that may be at work, as it was at one moment. On disk when it returns, whole or
// not at all. Writers are not kept from anything; unfinished batches are paused in the copy, since
// what was sent after it was made is not in it. Throws UsageError when `to` exists.
void back_up(const std::filesystem::path& store, const std::filesystem::path& to,
             std::int64_t now_ms);

// Makes the store if it is missing and brings an older one to this program's schema, under the
// worker's lock. What a command that writes calls first.
void create_or_migrate(const std::filesystem::path& file);
// The same for a caller that holds the worker's lock.
void create_or_migrate_locked(const std::filesystem::path& file);

// The path with its folder resolved, so that two names of a store share their lock files. Throws
// UsageError when the folder is missing.
std::filesystem::path resolved_store_path(const std::filesystem::path& file);

}  // namespace docmill
