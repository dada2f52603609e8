#include <SQLiteCpp/Statement.h>
#include <sys/stat.h>

#include <fstream>

#include "base/errors.h"
#include "store/database.h"
#include "store/migrations.h"
#include "store/write_lock.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;
namespace fs = std::filesystem;

namespace {

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

std::string refusal(const fs::path& file) {
  SqliteCommit commit;
  try {
    create_or_migrate(file);
    const Database db(file, Access::read_write, commit);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

std::string pragma(Database& db, const char* name) {
  SQLite::Statement statement(db.connection(), std::string("PRAGMA ") + name);
  REQUIRE(statement.executeStep());
  return statement.getColumn(0).getString();
}

}  // namespace

TEST_CASE("a new store has the settings that its promises rest on") {
  const Scratch scratch;
  const fs::path file = scratch.path / "s.db";
  create_or_migrate(file);
  SqliteCommit commit;
  Database db(file, Access::read_write, commit);
  CHECK(pragma(db, "journal_mode") == "wal");
  CHECK(pragma(db, "synchronous") == "2");
  CHECK(pragma(db, "wal_autocheckpoint") == "0");
  CHECK(pragma(db, "page_size") == "8192");
  CHECK(pragma(db, "auto_vacuum") == "2");
  CHECK(pragma(db, "foreign_keys") == "1");
  CHECK(pragma(db, "trusted_schema") == "0");
  CHECK(pragma(db, "application_id") == std::to_string(kApplicationId));
  CHECK(pragma(db, "user_version") == std::to_string(migration_texts().size()));
}

TEST_CASE("a store is its owner's alone, and a group's in a set-gid folder") {
  const Scratch scratch;
  create_or_migrate(scratch.path / "own.db");
  CHECK(mode_of(scratch.path / "own.db") == 0600);
  CHECK(mode_of(scratch.path / "own.db.write") == 0600);

  const fs::path shared = scratch.path / "shared";
  fs::create_directory(shared);
  REQUIRE(chmod(shared.c_str(), 02770) == 0);
  create_or_migrate(shared / "all.db");
  for (const char* name :
       {"all.db", "all.db.write", "all.db.turn", "all.db.worker", "all.db-wal"}) {
    if (!fs::exists(shared / name)) continue;
    INFO(name);
    CHECK(mode_of(shared / name) == 0660);
  }
}

TEST_CASE("files that are no store of ours are refused by name") {
  const Scratch scratch;
  const fs::path text = scratch.path / "text.db";
  std::ofstream(text) << std::string(5000, 'x');
  CHECK(refusal(text).find("no docmill store") != std::string::npos);

  const fs::path foreign = scratch.path / "foreign.db";
  SQLite::Database(foreign.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE theirs (x)");
  CHECK(refusal(foreign).find("belongs to another program") != std::string::npos);

  const fs::path newer = scratch.path / "newer.db";
  create_or_migrate(newer);
  SQLite::Database(newer.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
  CHECK(refusal(newer).find("newer docmill") != std::string::npos);

  CHECK(refusal(scratch.path / "missing" / "s.db") != "");
}

TEST_CASE("a migration that was cut off leaves a file that is migrated the next time") {
  const Scratch scratch;
  const fs::path file = scratch.path / "s.db";
  {
    // The file is there and in WAL mode, but the one transaction with the schema never committed.
    SQLite::Database db(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("BEGIN");
    db.exec(migration_texts()[0]);
  }
  CHECK(refusal(file) == "");
}

TEST_CASE("a store is reached by one pair of locks, whatever it is called") {
  const Scratch scratch;
  const fs::path folder = scratch.path / "real";
  fs::create_directory(folder);
  fs::create_directory_symlink(folder, scratch.path / "link");
  CHECK(resolved_store_path(scratch.path / "link" / "s.db") == folder / "s.db");
}

TEST_CASE("writers take turns: who waits holds the place") {
  const Scratch scratch;
  create_or_migrate(scratch.path / "s.db");
  WriteLock submit(scratch.path / "s.db");
  WriteLock worker(scratch.path / "s.db");
  submit.lock();
  CHECK_FALSE(worker.try_lock());
  // Submit is done and wants the next transaction at once; it is the worker's turn now.
  submit.unlock();
  CHECK_FALSE(submit.try_lock());
  CHECK(worker.try_lock());
  worker.unlock();
  CHECK(submit.try_lock());
  CHECK(submit.holder_pid() == getpid());
}

TEST_CASE("one worker a store, and its death frees the place at once") {
  const Scratch scratch;
  const fs::path file = scratch.path / "s.db";
  create_or_migrate(file);
  {
    auto first = WorkerLock::take(file);
    REQUIRE(first);
    first->announce(kTestStartMs);
    first->set_suspect({42});
    first->set_network_suspect({43});
    CHECK_FALSE(WorkerLock::take(file));
    const auto seen = running_worker(file);
    REQUIRE(seen);
    CHECK(seen->pid == getpid());
    CHECK(seen->since_ms == kTestStartMs);
  }
  CHECK_FALSE(running_worker(file));
  auto second = WorkerLock::take(file);
  REQUIRE(second);
  CHECK(second->suspects_left_behind() == std::vector<JobId>{{42}, {43}});
  CHECK(second->has_file_as_it_was_left());
  fs::copy_file(file, scratch.path / "copy.db");
  fs::rename(scratch.path / "copy.db", file);
  CHECK_FALSE(second->has_file_as_it_was_left());
  second->announce(kTestStartMs);
  CHECK(second->has_file_as_it_was_left());
  pretend_reboot(file);
  CHECK_FALSE(second->has_file_as_it_was_left());
  CHECK(second->suspects_left_behind().empty());
}

TEST_CASE("what is not committed is not there") {
  const Scratch scratch;
  const fs::path file = scratch.path / "s.db";
  create_or_migrate(file);
  SqliteCommit commit;
  Database db(file, Access::read_write, commit);
  const auto count = [&] {
    SQLite::Statement statement(db.connection(), "SELECT count(*) FROM provider_pause");
    statement.executeStep();
    return statement.getColumn(0).getInt();
  };
  const char* insert = "INSERT INTO provider_pause VALUES ('p', 1, 2, 'r')";
  {
    Transaction lost(db);
    db.connection().exec(insert);
  }
  CHECK(count() == 0);
  {
    Transaction kept(db);
    db.connection().exec(insert);
    kept.commit();
  }
  CHECK(count() == 1);
}
