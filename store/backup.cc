// Copies of a store: one step of SQLite's backup, so one snapshot. A copy in steps would begin anew
// at each commit of another process, and beside a worker never end.

#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "store/database.h"
#include "store/migrations.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

void make_private(const fs::path& file) {
  const Fd fd(open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.is_open()) throw world_error_from_errno(file.string());
}

void check_room(const fs::path& from, const fs::path& to) {
  std::error_code error;
  const std::uintmax_t needed = fs::file_size(from) + fs::file_size(from.string() + "-wal", error);
  const std::uintmax_t free_bytes = fs::space(to.parent_path()).available;
  if (free_bytes > needed) return;
  throw WorldError(fmt::format("{}: no room for a copy of the store: {} bytes are free, {} needed",
                               to.string(), free_bytes, needed));
}

// What was sent after the copy was made is not in it, and would be sent again.
void pause_unfinished(const fs::path& copy, std::int64_t now_ms) {
  SQLite::Database db(copy.string(), SQLite::OPEN_READWRITE);
  SQLite::Statement pause(db, R"sql(
      UPDATE batch SET paused_at = ?1, paused_reason = ?2 WHERE finished_at IS NULL)sql");
  pause.bind(1, now_ms);
  pause.bind(2, "restored from a backup; what was sent since it was made is not in it");
  pause.exec();
}

void sync_into_place(const fs::path& part, const fs::path& to) {
  {
    const Fd fd(open(part.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.is_open() || fsync(fd.get()) != 0) throw world_error_from_errno(part.string());
  }
  if (rename(part.c_str(), to.c_str()) != 0) throw world_error_from_errno(to.string());
  const Fd folder(open(to.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || fsync(folder.get()) != 0) throw world_error_from_errno(to.string());
}

}  // namespace

void copy_store(SQLite::Database& from, const fs::path& to) {
  SQLite::Database copy(to.string(), SQLite::OPEN_READWRITE);
  sqlite3_backup* backup = sqlite3_backup_init(copy.getHandle(), "main", from.getHandle(), "main");
  if (backup == nullptr) throw SQLite::Exception(copy.getHandle());
  const int stepped = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) throw SQLite::Exception(copy.getHandle(), stepped);
  if (finished != SQLITE_OK) throw SQLite::Exception(copy.getHandle(), finished);
}

void back_up(const fs::path& store, const fs::path& to, std::int64_t now_ms) {
  const fs::path target = resolved_store_path(to);
  if (fs::exists(target)) {
    throw UsageError(fmt::format("{} exists; give a backup a name of its own", target.string()));
  }
  SqliteCommit commit;
  Database from(store, Access::read_only, commit);
  check_room(store, target);
  const fs::path part = target.string() + ".part";
  fs::remove(part);
  make_private(part);
  copy_store(from.connection(), part);
  pause_unfinished(part, now_ms);
  sync_into_place(part, target);
}

void keep_before_migration(SQLite::Database& from, const fs::path& file, std::int64_t version) {
  const fs::path to = fmt::format("{}.schema-{}", file.string(), version);
  check_room(file, to);
  const fs::path part = to.string() + ".part";
  fs::remove(part);
  make_private(part);
  copy_store(from, part);
  sync_into_place(part, to);
}

}  // namespace docmill
