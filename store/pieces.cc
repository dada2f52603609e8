#include "store/pieces.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/sha256.h"
#include "store/job_sql.h"

// What a job that was cut is when it goes on: blocked while a piece of its latest cutting is not
// done.
#define STATE_AGAIN                                                                             \
  "iif(level > 0 AND EXISTS (SELECT 1 FROM job c WHERE c.parent_id = job.id AND c.piece_level " \
  "= job.level AND c.state != 'done'), 'blocked', 'ready')"
#define AS_NEW                                                                                 \
  "position = 0, tries = 0, unsure = 0, crashes = 0, requests_before = requests, error_class " \
  "= NULL, error_message = NULL, finished_at = NULL, raised_output_tokens = NULL"

namespace docmill {

PieceStore::PieceStore(Database& db, Texts& texts)
    : texts_(texts),
      block_(db, R"sql(
        UPDATE job SET state = 'blocked', level = level + 1, tries = 0, unsure = 0,
               raised_output_tokens = NULL, error_class = NULL, error_message = NULL
        WHERE id = ?1 AND state = 'ready')sql"),
      insert_(db, R"sql(
        INSERT INTO job (batch_id, item_key, content_hash, source, input_id, text_bytes, parent_id,
                         piece, root_id, piece_level, gap, priority, route, position, state,
                         created_at, begin_at)
        SELECT batch_id, item_key || ' #' || level || '.' || ?2, ?3, source, ?4, ?5, id,
               ?2, coalesce(root_id, id), level, ?6, priority, route, 0, 'ready',
               ?7, ?8
        FROM job WHERE id = ?1)sql"),
      pieces_(db, R"sql(
        SELECT p.id, p.piece, p.state, coalesce(o.body, ''), coalesce(p.gap, ''),
               coalesce(o.attempt_id, 0)
        FROM job j JOIN job p ON p.parent_id = j.id AND p.piece_level = j.level
        LEFT JOIN job_output o ON o.job_id = p.id
        WHERE j.id = ?1 ORDER BY p.piece)sql"),
      input_(db, "SELECT input_id FROM job WHERE id = ?1"),
      completed_(db, R"sql(
        SELECT j.id FROM job p JOIN job j ON j.id = p.parent_id
        WHERE p.id = ?1 AND j.state = 'blocked' AND p.piece_level = j.level AND NOT EXISTS (
          SELECT 1 FROM job other WHERE other.parent_id = j.id AND other.piece_level = j.level
            AND other.state != 'done'))sql"),
      finish_(db, R"sql(
        UPDATE job SET state = 'done', finished_at = ?2, error_message = ?3,
               error_class = iif(?3 IS NULL, NULL, 'changed_structure')
        WHERE id = ?1 AND state = 'blocked')sql"),
      put_output_(db, R"sql(
        INSERT INTO job_output (job_id, attempt_id, finish_reason, body)
        VALUES (?1, ?2, 'stop', ?3))sql"),
      make_ready_(db, R"sql(
        UPDATE job SET state = 'ready', position = 0 WHERE id = ?1 AND state = 'blocked')sql"),
      parent_(db, "SELECT parent_id, piece FROM job WHERE id = ?1 AND parent_id IS NOT NULL"),
      end_(db, R"sql(
        UPDATE job SET state = ?2, error_class = ?3, error_message = ?4, finished_at = ?5
        WHERE id = ?1 AND state = 'blocked')sql"),
      cancel_below_(db, R"sql(
        WITH RECURSIVE below (id) AS (
          SELECT id FROM job WHERE parent_id = ?1
          UNION ALL SELECT job.id FROM job JOIN below ON job.parent_id = below.id)
        UPDATE job SET state = 'cancelled', run_at = NULL, finished_at = ?2
        WHERE id IN (SELECT id FROM below) AND state IN ('ready', 'waiting', 'blocked'))sql"),
      retry_(db,
             "UPDATE job SET state = " STATE_AGAIN ", route = coalesce(?4, route), " AS_NEW R"sql(
        WHERE batch_id = ?1 AND root_id IN (
            SELECT id FROM job WHERE batch_id = ?1 AND parent_id IS NULL AND level > 0
              AND superseded_by IS NULL AND state IN ('failed', 'held') AND )sql" STAYS R"sql(
              AND (?2 = '' OR item_key = ?2) AND (?3 = '' OR error_class = ?3))
          AND state IN ('failed', 'held', 'cancelled') AND input_id IS NOT NULL)sql"),
      retry_documents_(
          db, "UPDATE job SET state = " STATE_AGAIN ", route = coalesce(?4, route), " AS_NEW R"sql(
        WHERE batch_id = ?1 AND parent_id IS NULL AND superseded_by IS NULL
          AND state IN ('failed', 'held') AND )sql" STAYS R"sql( AND input_id IS NOT NULL
          AND (?2 = '' OR item_key = ?2) AND (?3 = '' OR error_class = ?3))sql"),
      cancel_superseded_(db, R"sql(
        UPDATE job SET state = 'cancelled', run_at = NULL, finished_at = ?3
        WHERE root_id IN (SELECT id FROM job WHERE batch_id = ?1 AND item_key = ?2
                          AND superseded_by IS NOT NULL)
          AND state IN ('ready', 'waiting', 'blocked', 'held'))sql"),
      revive_(db, "UPDATE job SET state = " STATE_AGAIN ", " AS_NEW R"sql(
        WHERE (root_id = ?1 OR (id = ?1 AND level > 0)) AND state IN ('cancelled', 'ready')
          AND superseded_by IS NULL)sql"),
      unwanted_(db, R"sql(
        WITH RECURSIVE above (id) AS (
          SELECT parent_id FROM job WHERE id = ?1
          UNION ALL SELECT job.parent_id FROM job JOIN above ON job.id = above.id
                    WHERE job.parent_id IS NOT NULL)
        SELECT EXISTS (SELECT 1 FROM job WHERE id IN (SELECT id FROM above)
                       AND (state != 'blocked' OR superseded_by IS NOT NULL)))sql") {}

bool PieceStore::cut(JobId job, std::span<const NewPiece> pieces, std::int64_t now_ms) {
  CHECK(pieces.size() > 1);
  if (block_.change(job) != 1) return false;
  int number = 0;
  for (const NewPiece& piece : pieces) {
    const std::int64_t input = texts_.keep(sha256_of_parts({piece.text}), piece.text);
    // Another text of the same document may have the same piece.
    const std::string own_hash = sha256_of_parts({std::to_string(job.value), piece.text});
    CHECK(insert_.change(job, ++number, Blob{own_hash}, input,
                         static_cast<std::int64_t>(piece.text.size()), piece.gap, now_ms,
                         piece.begin) == 1);
  }
  return true;
}

std::vector<Piece> PieceStore::pieces(JobId job) {
  std::vector<Piece> pieces;
  for (Cursor row = pieces_.run(job); row.next();) {
    pieces.push_back(
        {{row.integer(0)}, row.small(1), row.text(2), row.text(3), row.text(4), {row.integer(5)}});
  }
  return pieces;
}

std::optional<std::string> PieceStore::text(JobId job) {
  Cursor row = input_.run(job);
  CHECK(row.next());
  return texts_.text(row.integer(0));
}

std::optional<JobId> PieceStore::completed_by(JobId piece) {
  Cursor row = completed_.run(piece);
  if (!row.next()) return std::nullopt;
  return JobId{row.integer(0)};
}

void PieceStore::finish(JobId job, AttemptId attempt, const std::string& output,
                        const std::string& changed, std::int64_t now_ms) {
  std::optional<std::string> message;
  if (!changed.empty()) message = changed;
  CHECK(finish_.change(job, now_ms, message) == 1);
  put_output_.change(job, attempt, output);
}

void PieceStore::make_ready(JobId job) {
  CHECK(make_ready_.change(job) == 1);
}

void PieceStore::end_above(JobId piece, const std::string& state, const std::string& error_class,
                           const std::string& why, std::int64_t now_ms) {
  std::optional<std::int64_t> finished_at;
  if (state == "failed") finished_at.emplace(now_ms);
  std::string reason = why;
  for (JobId below = piece;;) {
    JobId parent;
    {
      Cursor row = parent_.run(below);
      if (!row.next()) return;
      parent = {row.integer(0)};
      reason = fmt::format("piece {}: {}", row.integer(1), reason);
    }
    // It may have ended by another piece.
    if (end_.change(parent, state, error_class, reason, finished_at) == 1) {
      cancel_below_.change(parent, now_ms);
    }
    below = parent;
  }
}

int PieceStore::retry(BatchId batch, const std::string& item_key, const std::string& error_class,
                      std::optional<int> route) {
  retry_.change(batch, item_key, error_class, route);
  return retry_documents_.change(batch, item_key, error_class, route);
}

void PieceStore::cancel_superseded(BatchId batch, const std::string& item_key,
                                   std::int64_t now_ms) {
  cancel_superseded_.change(batch, item_key, now_ms);
}

void PieceStore::revive(JobId job) {
  revive_.change(job);
}

bool PieceStore::is_unwanted(JobId piece) {
  Cursor row = unwanted_.run(piece);
  CHECK(row.next());
  return row.integer(0) != 0;
}

}  // namespace docmill
