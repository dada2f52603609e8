#pragma once

// A prepared statement and a walk over its rows. The rows' values are copied out, so a Cursor may
// end before them; a Cursor's end resets the statement, so no read snapshot outlives it.

#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/strong_id.h"
#include "store/database.h"

namespace docmill {

// Bound as NULL when it is empty.
struct Blob {
  std::string_view bytes;
};

class Cursor {
 public:
  explicit Cursor(SQLite::Statement& statement) : statement_(statement) {}
  ~Cursor() { statement_.tryReset(); }
  Cursor(const Cursor&) = delete;

  bool next() { return statement_.executeStep(); }

  bool is_null(int column) { return statement_.isColumnNull(column); }
  bool is_blob(int column) { return statement_.getColumn(column).isBlob(); }
  std::int64_t integer(int column) { return statement_.getColumn(column).getInt64(); }
  int small(int column) { return statement_.getColumn(column).getInt(); }
  double real(int column) { return statement_.getColumn(column).getDouble(); }
  std::string text(int column) { return statement_.getColumn(column).getString(); }
  // Into a text that may have its room already; of NULL, nothing.
  void text(int column, std::string& into) {
    const SQLite::Column value = statement_.getColumn(column);
    const void* bytes = value.getBlob();  // as text SQLite would copy it for a NUL at its end
    into.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(value.getBytes()));
  }
  std::optional<std::int64_t> maybe_integer(int column) {
    const SQLite::Column value = statement_.getColumn(column);
    if (value.isNull()) return std::nullopt;
    return value.getInt64();
  }

 private:
  SQLite::Statement& statement_;
};

class Statement {
 public:
  Statement(Database& db, const char* sql) : statement_(db.connection(), sql) {}

  // Binds ?1, ?2, ... in order. Strings are not copied: they must outlive the Cursor.
  template <class... Values>
  Cursor run(const Values&... values) {
    statement_.tryReset();
    int index = 0;
    (bind(++index, values), ...);
    return Cursor(statement_);
  }

  // Runs to the end; how many rows were changed.
  template <class... Values>
  int change(const Values&... values) {
    statement_.tryReset();
    int index = 0;
    (bind(++index, values), ...);
    const int changes = statement_.exec();
    statement_.tryReset();
    return changes;
  }

 private:
  void bind(int index, std::int64_t value) { statement_.bind(index, value); }
  void bind(int index, int value) { statement_.bind(index, value); }
  // A std::string is bound in place, whatever its size; a view is copied, so views are for words.
  void bind(int index, const std::string& value) { statement_.bindNoCopy(index, value); }
  void bind(int index, std::string_view value) { statement_.bind(index, std::string(value)); }
  void bind(int index, const char* value) { statement_.bind(index, value); }
  void bind(int index, Blob value) {
    if (value.bytes.empty()) return statement_.bind(index);
    statement_.bindNoCopy(index, static_cast<const void*>(value.bytes.data()),
                          static_cast<int>(value.bytes.size()));
  }
  void bind(int index, std::nullopt_t) { statement_.bind(index); }
  template <class Tag>
  void bind(int index, StrongId<Tag> id) {
    statement_.bind(index, id.value);
  }
  template <class Value>
  void bind(int index, const std::optional<Value>& value) {
    if (value) {
      bind(index, *value);
    } else {
      statement_.bind(index);
    }
  }

  SQLite::Statement statement_;
};

inline std::int64_t last_insert_id(Database& db) {
  return db.connection().getLastInsertRowid();
}

}  // namespace docmill
