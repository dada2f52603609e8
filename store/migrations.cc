#include "store/migrations.h"

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "base/check.h"
#include "base/errors.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

struct Identity {
  std::int64_t application_id = 0;
  std::int64_t version = 0;
  bool is_cut_off = false;
  bool is_empty = false;  // no table yet: a new file, or a first migration that was cut off
};

std::int64_t number_of(SQLite::Database& connection, const char* sql) {
  SQLite::Statement statement(connection, sql);
  CHECK(statement.executeStep());
  return statement.getColumn(0).getInt64();
}

Identity read_identity(SQLite::Database& connection, const fs::path& file) {
  Identity identity;
  try {
    // At one moment: another process may be making the store just now.
    const SQLite::Transaction snapshot(connection);
    identity.application_id = number_of(connection, "PRAGMA application_id");
    identity.version = number_of(connection, "PRAGMA user_version");
    identity.is_empty = number_of(connection, "SELECT count(*) FROM sqlite_schema") == 0;
  } catch (const SQLite::Exception& error) {
    // A death while the store was made leaves a journal that only a writer can roll back.
    if (error.getExtendedErrorCode() == SQLITE_READONLY_ROLLBACK) {
      identity.is_cut_off = true;
      return identity;
    }
    if (error.getErrorCode() != SQLITE_NOTADB) throw;
    throw UsageError(
        fmt::format("{}: this is no docmill store (not an SQLite file); use --store "
                    "with another name",
                    file.string()));
  }
  const bool ours = identity.application_id == kApplicationId ||
                    (identity.application_id == 0 && identity.is_empty);
  if (!ours) {
    throw UsageError(
        fmt::format("{}: this SQLite file belongs to another program (application_id "
                    "{:#x}); use --store with another name",
                    file.string(), identity.application_id));
  }
  if (identity.version > static_cast<std::int64_t>(migration_texts().size())) {
    throw WorldError(
        fmt::format("{}: the store is of a newer docmill (schema {}, this program "
                    "knows {}); use that docmill",
                    file.string(), identity.version, migration_texts().size()));
  }
  return identity;
}

}  // namespace

void check_schema(SQLite::Database& connection, const fs::path& file) {
  const Identity identity = read_identity(connection, file);
  if (identity.is_cut_off) {
    throw WorldError(
        fmt::format("{}: its making was cut off; docmill submit, or docmill work, makes it anew",
                    file.string()));
  }
  if (identity.version < static_cast<std::int64_t>(migration_texts().size())) {
    throw WorldError(
        fmt::format("{}: the store has not been brought to this docmill's schema yet; "
                    "docmill work does that",
                    file.string()));
  }
}

bool is_current(const fs::path& file) {
  SQLite::Database connection(file.string(), SQLite::OPEN_READONLY | SQLite::OPEN_NOFOLLOW, 10'000);
  const Identity identity = read_identity(connection, file);
  return !identity.is_cut_off &&
         identity.version == static_cast<std::int64_t>(migration_texts().size());
}

void migrate(SQLite::Database& connection, const fs::path& file) {
  const Identity identity = read_identity(connection, file);
  const auto target = static_cast<std::int64_t>(migration_texts().size());
  if (identity.version == target) return;
  if (identity.version > 0) keep_before_migration(connection, file, identity.version);
  if (identity.version == 0) {
    // These have to come before the first table and cannot be set in a transaction.
    connection.exec("PRAGMA page_size = 8192");
    connection.exec("PRAGMA auto_vacuum = INCREMENTAL");
    connection.exec("PRAGMA journal_mode = WAL");
  }
  connection.exec("PRAGMA synchronous = FULL");
  // A migration may rebuild a table that others point to; it is checked below that they still do.
  connection.exec("PRAGMA foreign_keys = OFF");
  connection.exec("BEGIN IMMEDIATE");
  for (std::int64_t number = identity.version; number < target; ++number) {
    connection.exec(migration_texts()[static_cast<std::size_t>(number)]);
  }
  SQLite::Statement dangling(connection, "PRAGMA foreign_key_check");
  CHECK(!dangling.executeStep());
  dangling.reset();
  connection.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
  connection.exec(fmt::format("PRAGMA user_version = {}", target));
  connection.exec("COMMIT");
}

}  // namespace docmill
