#include "store/texts.h"

#include "base/check.h"

namespace docmill {

Texts::Texts(Database& db)
    : db_(db),
      insert_(db, "INSERT INTO job_input (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING"),
      find_(db, "SELECT id FROM job_input WHERE hash = ?1"),
      text_(db, "SELECT body FROM job_input WHERE id = ?1"),
      drop_(db, R"sql(
        DELETE FROM job_input WHERE id = ?1 AND NOT EXISTS (
          SELECT 1 FROM job INDEXED BY job_by_input WHERE input_id = ?1))sql") {}

std::int64_t Texts::keep(const std::string& hash, const std::string& text) {
  if (insert_.change(Blob{hash}, text) == 1) return last_insert_id(db_);
  Cursor row = find_.run(Blob{hash});
  CHECK(row.next());
  return row.integer(0);
}

std::string Texts::text(std::int64_t id) {
  Cursor row = text_.run(id);
  CHECK(row.next());
  return row.text(0);
}

void Texts::drop(std::int64_t id) {
  drop_.change(id);
}

}  // namespace docmill
