#include "store/queue_figures.h"

#include <algorithm>
#include <string>

#include "store/job_sql.h"
#include "store/statement.h"

namespace docmill {

QueueFigures read_queue_figures(Database& db) {
  Statement states(db, R"sql(
      SELECT state, documents, (SELECT created_at FROM job WHERE id = first) FROM (
        SELECT 'ready' AS state, count(*) AS documents, min(j.id) AS first
        FROM batch b CROSS JOIN job j INDEXED BY job_ready ON j.batch_id = b.id
        WHERE b.finished_at IS NULL AND j.state = 'ready' AND j.parent_id IS NULL
        GROUP BY b.id
        UNION ALL SELECT 'running', count(*), min(j.id) FROM )sql" RUNNING_JOBS R"sql(
        WHERE j.superseded_by IS NULL AND j.parent_id IS NULL
        UNION ALL SELECT state, count(*), min(j.id)
        FROM batch b CROSS JOIN job j INDEXED BY job_by_state ON j.batch_id = b.id
        WHERE b.finished_at IS NULL AND j.superseded_by IS NULL AND j.parent_id IS NULL
          AND )sql" STAYS R"sql(
        GROUP BY j.batch_id, j.state))sql");
  Statement batches(db, R"sql(
      SELECT count(*), sum(held_reason IS NOT NULL), sum(paused_at IS NOT NULL)
      FROM batch WHERE finished_at IS NULL)sql");
  Statement unknown(db, R"sql(
      SELECT count(*), coalesce(sum(ceiling_pusd), 0)
      FROM attempt INDEXED BY attempt_unsure WHERE cost_basis = 'unknown')sql");
  QueueFigures figures;
  for (Cursor row = states.run(); row.next();) {
    const std::string state = row.text(0);
    add(figures.documents, state, row.integer(1));
    if (state != "ready" && state != "waiting" && state != "blocked") continue;
    figures.oldest_ms = std::min(figures.oldest_ms.value_or(row.integer(2)), row.integer(2));
  }
  if (Cursor row = batches.run(); row.next()) {
    figures.open_batches = row.integer(0);
    figures.held_batches = row.maybe_integer(1).value_or(0);
    figures.paused_batches = row.maybe_integer(2).value_or(0);
  }
  if (Cursor row = unknown.run(); row.next()) {
    figures.unknown_attempts = row.integer(0);
    figures.possible_pusd = row.integer(1);
  }
  return figures;
}

}  // namespace docmill
