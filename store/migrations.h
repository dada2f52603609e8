#pragma once

// The schema's versions: the files of migrations/, compiled in. PRAGMA user_version says how many
// have been applied, application_id says that the file is ours.

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <filesystem>
#include <span>

namespace docmill {

inline constexpr std::int32_t kApplicationId = 0x646d696c;  // "dmil"

// In the order of their numbers; made by CMake from migrations/*.sql.
std::span<const char* const> migration_texts();

// Throws when the file is not ours (UsageError), newer than this program, or not yet migrated
// (WorldError).
void check_schema(SQLite::Database& connection, const std::filesystem::path& file);

// Whether the file needs no migration. Throws UsageError when it is not ours.
bool is_current(const std::filesystem::path& file);

// Applies what is missing, all of it in one transaction. The caller holds the worker's lock and the
// write lock. A file without tables becomes a store.
void migrate(SQLite::Database& connection, const std::filesystem::path& file);

// Puts a copy beside the store, as <store>.schema-N, on disk when it returns.
void keep_before_migration(SQLite::Database& from, const std::filesystem::path& file,
                           std::int64_t version);

}  // namespace docmill
