#include "store/database.h"

#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/check.h"
#include "base/errors.h"
#include "store/migrations.h"
#include "store/purses.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

// A page of the WAL, with its header.
constexpr std::int64_t kFrameBytes = 8192 + 24;
// Longer than any honest transaction; the write lock makes it moot except against strangers.
constexpr int kBusyTimeoutMs = 10'000;
// SQLite would count each allocation under a lock, and nobody reads that. It has to be told before
// anything of it is used. Refused, and no matter, where a test was first.
[[maybe_unused]] const int kWithoutCounts = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

// WAL needs shared memory on one host; on these it corrupts.
const char* network_file_system(const fs::path& folder) {
  struct statfs info {};
  if (statfs(folder.c_str(), &info) != 0) throw world_error_from_errno(folder.string());
  switch (static_cast<unsigned long>(info.f_type)) {
    case NFS_SUPER_MAGIC:
      return "NFS";
    case SMB_SUPER_MAGIC:
      return "SMB";
    case 0xff534d42:
      return "CIFS";
    case 0xfe534d42:
      return "SMB2";
    case V9FS_MAGIC:
      return "9p";
    case CODA_SUPER_MAGIC:
      return "Coda";
    case AFS_SUPER_MAGIC:
      return "AFS";
    case CEPH_SUPER_MAGIC:
      return "Ceph";
    default:
      return nullptr;
  }
}

int open_flags(Access access) {
  const int flags = SQLite::OPEN_NOFOLLOW | SQLite::OPEN_NOMUTEX;
  return flags | (access == Access::read_only ? SQLite::OPEN_READONLY : SQLite::OPEN_READWRITE);
}

// The store of a service is open to the members of its group.
WorldError denied(const fs::path& file) {
  struct stat info {};
  const bool is_seen =
      stat(file.c_str(), &info) == 0 || stat(file.parent_path().c_str(), &info) == 0;
  if (!is_seen) return WorldError(fmt::format("{}: permission denied", file.string()));
  const group* owners = getgrgid(info.st_gid);  // no thread asks at the same time
  const std::string name = owners != nullptr ? owners->gr_name : std::to_string(info.st_gid);
  const bool is_of_group = (info.st_mode & S_IWGRP) != 0;
  return WorldError(fmt::format(
      "{}: permission denied; {}", file.string(),
      is_of_group
          ? fmt::format("the members of group {} may: adduser YOU {}, and log in anew", name, name)
          : fmt::format("it is user {}'s alone", info.st_uid)));
}

// SQLite's own word is "unable to open database file", whatever the reason.
void check_access(const fs::path& file, Access access) {
  const int wanted = access == Access::read_only ? R_OK : R_OK | W_OK;
  if (::access(file.c_str(), wanted) == 0) return;
  if (errno == EACCES) throw denied(file);
  throw world_error_from_errno(file.string());
}

SQLite::Database open_connection(const fs::path& file, Access access) {
  if (!store_exists(file)) {
    throw WorldError(
        fmt::format("{}: there is no store yet; docmill submit makes it", file.string()));
  }
  check_access(file, access);
  return SQLite::Database(file.string(), open_flags(access), kBusyTimeoutMs);
}

void make_empty_file(const fs::path& file) {
  struct stat folder {};
  if (stat(file.parent_path().c_str(), &folder) != 0) {
    throw world_error_from_errno(file.parent_path().string());
  }
  const mode_t mode = (folder.st_mode & S_ISGID) != 0 ? 0660 : 0600;
  const Fd fd(open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.is_open()) {
    if (errno == EEXIST) return;
    throw world_error_from_errno(file.string());
  }
  fchmod(fd.get(), mode);
}

void set_db_config(SQLite::Database& connection, int option, int value) {
  CHECK(sqlite3_db_config(connection.getHandle(), option, value, nullptr) == SQLITE_OK);
}

struct statvfs disk_of(const std::filesystem::path& file) {
  struct statvfs info {};
  if (statvfs(file.parent_path().c_str(), &info) != 0) {
    throw world_error_from_errno(file.parent_path().string());
  }
  return info;
}

}  // namespace

const char* sqlite_version() {
  return sqlite3_libversion();
}

bool store_exists(const fs::path& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) == 0) return true;
  if (errno == EACCES) throw denied(file);
  return false;
}

void SqliteCommit::run(SQLite::Database& connection) {
  connection.exec("COMMIT");
}

Database::Database(const fs::path& file, Access access, Commit& commit, Options options)
    : file_(file), options_(options), commit_(commit), connection_(open_connection(file, access)) {
  configure(access);
  check_schema(connection_, file_);
  write_lock_ = access == Access::read_write ? std::make_unique<WriteLock>(file_) : nullptr;
  data_version_ = std::make_unique<SQLite::Statement>(connection_, "PRAGMA data_version");
  purses_ = std::make_unique<Purses>(*this);
}

Database::~Database() = default;

void Database::configure(Access access) {
  set_db_config(connection_, SQLITE_DBCONFIG_DEFENSIVE, 1);
  set_db_config(connection_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
  set_db_config(connection_, SQLITE_DBCONFIG_DQS_DML, 0);
  set_db_config(connection_, SQLITE_DBCONFIG_DQS_DDL, 0);
  set_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1);
  connection_.exec("PRAGMA foreign_keys = ON");
  connection_.exec("PRAGMA cell_size_check = ON");
  connection_.exec("PRAGMA cache_size = -6144");
  connection_.exec("PRAGMA mmap_size = 0");
  connection_.exec("PRAGMA temp_store = MEMORY");
  if (access == Access::read_write) {
    // In place of SQLite's own checkpoints.
    sqlite3_wal_hook(connection_.getHandle(), &Database::note_wal, this);
    connection_.exec("PRAGMA synchronous = FULL");
  }
}

std::int64_t Database::data_version() {
  data_version_->reset();
  CHECK(data_version_->executeStep());
  const std::int64_t version = data_version_->getColumn(0).getInt64();
  data_version_->reset();
  return version;
}

std::int64_t Database::wal_bytes() const {
  struct stat info {};
  return stat((file_.string() + "-wal").c_str(), &info) == 0 ? std::int64_t{info.st_size} : 0;
}

std::int64_t Database::file_bytes() const {
  struct stat info {};
  if (stat(file_.c_str(), &info) != 0) throw world_error_from_errno(file_.string());
  return info.st_size;
}

bool Database::take_room(std::int64_t bytes) {
  struct stat info {};
  const bool is_gone = wal_.is_open() && (fstat(wal_.get(), &info) != 0 || info.st_nlink == 0);
  if (!wal_.is_open() || is_gone) {
    wal_ = Fd(open((file_.string() + "-wal").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!wal_.is_open() || fstat(wal_.get(), &info) != 0) return free_disk_bytes() >= bytes;
  }
  constexpr std::int64_t kBlockBytes = 512;  // of st_blocks, on every file system
  constexpr std::int64_t kStrideBytes = 8 << 20;
  constexpr std::int64_t kStrideShare = 100;  // of what is free
  if (info.st_blocks * kBlockBytes >= info.st_size + bytes) return true;
  const auto take = [&](std::int64_t room) {
    return fallocate(wal_.get(), FALLOC_FL_KEEP_SIZE, info.st_size, room) == 0;
  };
  // In strides, where they are a small part of what is free: each is a change of the file system.
  if (free_disk_bytes() / kStrideShare > kStrideBytes && take(bytes + kStrideBytes)) return true;
  if (take(bytes)) return true;
  if (errno == ENOSPC || errno == EDQUOT) return false;
  return free_disk_bytes() >= bytes;  // a file system that cannot
}

std::int64_t Database::free_disk_bytes() const {
  const struct statvfs info = disk_of(file_);
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

std::int64_t Database::disk_bytes() const {
  const struct statvfs info = disk_of(file_);
  return static_cast<std::int64_t>(info.f_blocks) * static_cast<std::int64_t>(info.f_frsize);
}

std::string Database::damage() {
  SQLite::Statement check(connection_, "PRAGMA quick_check(1)");
  CHECK(check.executeStep());
  const std::string found = check.getColumn(0).getString();
  return found == "ok" ? "" : found;
}

std::int64_t Database::shrink(int pages) {
  SQLite::Statement shrink(connection_, fmt::format("PRAGMA incremental_vacuum({})", pages));
  while (shrink.executeStep()) {
  }
  SQLite::Statement left(connection_, "PRAGMA freelist_count");
  CHECK(left.executeStep());
  return left.getColumn(0).getInt64();
}

int Database::note_wal(void* self, sqlite3*, const char*, int pages) {
  static_cast<Database*>(self)->wal_content_bytes_ = kFrameBytes * pages;
  return SQLITE_OK;
}

void Database::checkpoint_if_large() {
  const std::int64_t limit = std::min(options_.large_wal_bytes, free_disk_bytes() / 4);
  if (wal_content_bytes_ <= limit) next_checkpoint_bytes_ = limit;
  if (wal_content_bytes_ <= next_checkpoint_bytes_) return;
  // PASSIVE moves what no reader needs and never blocks; the WAL then starts again from its head.
  // A reader may keep it from that. Each try costs syncs, so the next comes after an eighth more.
  checkpoint(SQLITE_CHECKPOINT_PASSIVE);
  next_checkpoint_bytes_ = wal_content_bytes_ + limit / 8;
}

void Database::checkpoint_when_idle() {
  if (wal_bytes() == 0) return;
  if (!write_lock_->try_lock()) {
    write_lock_->drop_place();
    return;
  }
  // With readers in the way this fails at once and is tried again at the next idle moment.
  sqlite3_busy_timeout(connection_.getHandle(), 0);
  checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  sqlite3_busy_timeout(connection_.getHandle(), kBusyTimeoutMs);
  write_lock_->unlock();
}

void Database::checkpoint(int mode) {
  sqlite3* handle = connection_.getHandle();
  const int result = sqlite3_wal_checkpoint_v2(handle, nullptr, mode, nullptr, nullptr);
  const bool is_later = result == SQLITE_BUSY || result == SQLITE_LOCKED || result == SQLITE_FULL;
  if (result != SQLITE_OK && !is_later) throw SQLite::Exception(handle, result);
}

std::string damaged_store(const fs::path& file, const std::string& damage) {
  return fmt::format(
      "{}: the store is damaged, and nothing was changed: {}\n  Restore a backup (docmill backup "
      "makes them), or save what can be read with sqlite3: docs/operations.md, \"A damaged "
      "store\"",
      file.string(), damage);
}

std::string damage_met(const SQLite::Exception& error) {
  const int code = error.getErrorCode();
  if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB) return "";
  return damaged_store("the store", error.what());
}

Transaction::Transaction(Database& db) : db_(db) {
  db_.write_lock().lock();
  open_ = true;
  db_.connection().exec("BEGIN IMMEDIATE");
}

Transaction::Transaction(Database& db, LockIsHeld) : db_(db), open_(true) {
  db_.connection().exec("BEGIN IMMEDIATE");
}

std::unique_ptr<Transaction> Transaction::try_begin(Database& db) {
  if (!db.write_lock().try_lock()) return nullptr;
  return std::unique_ptr<Transaction>(new Transaction(db, LockIsHeld{}));
}

Transaction::~Transaction() {
  if (!open_) return;
  db_.purses().forget();
  // After an I/O error SQLite may have rolled back already; then there is nothing left to do.
  if (sqlite3_get_autocommit(db_.connection().getHandle()) == 0) {
    sqlite3_exec(db_.connection().getHandle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  end();
}

void Transaction::commit() {
  CHECK(open_);
  db_.purses().write();
  db_.commit().run(db_.connection());
  db_.checkpoint_if_large();
  end();
}

void Transaction::end() {
  open_ = false;
  db_.write_lock().unlock();
}

fs::path resolved_store_path(const fs::path& file) {
  std::error_code error;
  const fs::path folder = fs::canonical(file.has_parent_path() ? file.parent_path() : ".", error);
  if (error) {
    throw UsageError(
        fmt::format("{}: the store's folder is not there: {}", file.string(), error.message()));
  }
  if (const char* kind = network_file_system(folder)) {
    throw WorldError(
        fmt::format("{}: the store cannot be on a network file system ({}); use "
                    "--store with a local folder",
                    file.string(), kind));
  }
  return folder / file.filename();
}

void create_or_migrate(const fs::path& file) {
  if (store_exists(file)) {
    check_access(file, Access::read_write);
    if (is_current(file)) return;
  }
  const auto lock = WorkerLock::take(file);
  if (!lock) {
    // The worker migrated it for its own version; ours is another.
    if (store_exists(file) && is_current(file)) return;
    throw WorldError(
        fmt::format("{}: the store must be migrated and a worker holds it; stop the "
                    "worker, then try again",
                    file.string()));
  }
  create_or_migrate_locked(file);
}

void create_or_migrate_locked(const fs::path& file) {
  if (!store_exists(file)) make_empty_file(file);
  SQLite::Database connection(file.string(), open_flags(Access::read_write), kBusyTimeoutMs);
  set_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1);
  WriteLock lock(file);
  lock.lock();
  migrate(connection, file);
  lock.unlock();
}

}  // namespace docmill
