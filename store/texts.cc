#include "store/texts.h"

#include "base/check.h"
#include "base/text.h"
#include "store/packed.h"

namespace docmill {

Texts::Texts(Database& db)
    : db_(db),
      insert_(db, "INSERT INTO job_input (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING"),
      find_(db, "SELECT id FROM job_input WHERE hash = ?1"),
      text_(db, "SELECT body FROM job_input WHERE id = ?1"),
      drop_(db, R"sql(
        DELETE FROM job_input WHERE id = ?1 AND NOT EXISTS (
          SELECT 1 FROM job INDEXED BY job_by_input WHERE input_id = ?1))sql") {}

std::int64_t Texts::keep(const std::string& hash, const std::string& text,
                         const std::optional<std::string>& frame) {
  const std::string body = frame ? *frame : packed(text);
  const int added =
      body.empty() ? insert_.change(Blob{hash}, text) : insert_.change(Blob{hash}, Blob{body});
  if (added == 1) return last_insert_id(db_);
  Cursor row = find_.run(Blob{hash});
  CHECK(row.next());
  return row.integer(0);
}

std::optional<std::string> Texts::text(std::int64_t id) {
  Cursor row = text_.run(id);
  CHECK(row.next());
  std::string body = row.text(0);
  if (row.is_blob(0)) return unpacked(body);
  return is_valid_utf8(body) ? std::optional(std::move(body)) : std::nullopt;
}

void Texts::drop(std::int64_t id) {
  drop_.change(id);
}

}  // namespace docmill
