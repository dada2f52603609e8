#include "store/reader.h"

#include <algorithm>

#include "base/check.h"
#include "store/job_sql.h"
#include "store/report_reader.h"
#include "store/usage_columns.h"

#define RESULT_COLUMNS                                                                            \
  "j.id, j.item_key, j.source, j.state, coalesce(j.error_class, ''), "                            \
  "coalesce(j.error_message, ''), coalesce(x.extra, ''), o.body, coalesce(o.finish_reason, ''), " \
  "iif(j.reused_from IS NULL, '', (SELECT model FROM attempt WHERE id = o.attempt_id)), "         \
  "iif(j.reused_from IS NULL, j.level, (SELECT level FROM job WHERE id = j.reused_from)) > 0"
#define RESULT_TABLES                                     \
  " FROM job j LEFT JOIN job_extra x ON x.job_id = j.id " \
  "LEFT JOIN job_output o ON o.job_id = j.id "

namespace docmill {
namespace {

constexpr int kPage = 500;

// Pages walk the jobs by id. The + keeps SQLite from an index on batch_id, by which it would sort
// all of a batch for each page.

ResultRow read_result(Cursor& row) {
  ResultRow result;
  result.id = {row.integer(0)};
  result.item_key = row.text(1);
  result.source = row.text(2);
  result.state = row.text(3);
  result.error_class = row.text(4);
  result.error_message = row.text(5);
  result.extra = row.text(6);
  if (!row.is_null(7)) result.output = row.text(7);
  result.finish_reason = row.text(8);
  result.model = row.text(9);
  result.is_reused = !result.model.empty();
  result.is_cut = !row.is_null(10) && row.integer(10) != 0;
  return result;
}

}  // namespace

StoreReader::StoreReader(Database& db)
    : db_(db),
      jobs_(db),
      ledger_(db),
      batches_(db, "SELECT name FROM batch ORDER BY id"),
      counts_(db, R"sql(
        SELECT 'ready', count(*) FROM job INDEXED BY job_ready
        WHERE batch_id = ?1 AND state = 'ready' AND parent_id IS NULL
        UNION ALL SELECT 'running', count(*) FROM )sql" RUNNING_JOBS R"sql(
        WHERE j.batch_id = ?1 AND j.superseded_by IS NULL AND j.parent_id IS NULL
        UNION ALL SELECT state, count(*) FROM job INDEXED BY job_by_state
        WHERE batch_id = ?1 AND superseded_by IS NULL AND parent_id IS NULL AND )sql" STAYS
                  " GROUP BY state"),
      measured_(db, "SELECT spent_pusd FROM batch WHERE id = ?1"),
      open_(db, R"sql(
        SELECT coalesce(sum(ceiling_pusd), 0) FROM attempt INDEXED BY attempt_open
        WHERE settled_at IS NULL AND batch_id = ?1)sql"),
      unknown_(db, R"sql(
        SELECT coalesce(sum(ceiling_pusd), 0), count(*) FROM attempt INDEXED BY attempt_unsure
        WHERE cost_basis = 'unknown' AND batch_id = ?1)sql"),
      unpriced_(db, R"sql(
        SELECT count(*) FROM attempt INDEXED BY attempt_unsure
        WHERE batch_id = ?1 AND (cost_basis = 'unpriced'
          OR (cost_basis = 'unknown' AND ceiling_pusd IS NULL)))sql"),
      errors_(db, R"sql(
        SELECT error_class, count(*) FROM job
        WHERE batch_id = ?1 AND superseded_by IS NULL AND parent_id IS NULL
          AND state IN ('failed', 'held') AND )sql" STAYS R"sql(
        GROUP BY error_class ORDER BY count(*) DESC, error_class)sql"),
      worker_(db, R"sql(
        SELECT waits, seen_at FROM worker ORDER BY id DESC LIMIT 1)sql"),
      answers_(db, R"sql(
        SELECT count(*) FROM (SELECT settled_at, outcome FROM attempt WHERE batch_id = ?1
                              ORDER BY id DESC LIMIT 20000)
        WHERE outcome = 'answered' AND settled_at >= ?2)sql"),
      results_(db, "SELECT " RESULT_COLUMNS RESULT_TABLES R"sql(
        WHERE +j.batch_id = ?1 AND j.id > ?2 AND j.id <= ?4 AND j.superseded_by IS NULL
          AND j.parent_id IS NULL
        ORDER BY j.id LIMIT ?3)sql"),
      result_by_key_(db, "SELECT " RESULT_COLUMNS RESULT_TABLES R"sql(
        WHERE j.batch_id = ?1 AND j.item_key = ?2 AND j.superseded_by IS NULL
          AND j.parent_id IS NULL)sql"),
      result_by_id_(db, "SELECT " RESULT_COLUMNS RESULT_TABLES "WHERE j.id = ?1"),
      result_pieces_(db, R"sql(
        SELECT p.begin_at, p.begin_at + p.text_bytes, o.body
        FROM job j JOIN job w ON w.id = coalesce(j.reused_from, j.id)
        JOIN job p ON p.parent_id = w.id AND p.piece_level = w.level
        JOIN job_output o ON o.job_id = p.id
        WHERE j.id = ?1 AND p.begin_at IS NOT NULL ORDER BY p.piece)sql"),
      in_state_(db, R"sql(
        SELECT id FROM job INDEXED BY job_by_state
        WHERE batch_id = ?1 AND state = ?2 AND parent_id IS NULL AND superseded_by IS NULL
          AND )sql" STAYS),
      old_result_(db, "SELECT " RESULT_COLUMNS RESULT_TABLES R"sql(
        WHERE j.superseded_by = ?1 AND j.state = 'done' ORDER BY j.id DESC LIMIT 1)sql"),
      attempts_of_job_(db, R"sql(
        SELECT model, route, kind, cost_basis, cost_pusd, ceiling_pusd, )sql" USAGE_COLUMNS R"sql(
        FROM attempt a
        WHERE job_id = ?1 OR job_id IN (SELECT id FROM job WHERE root_id = ?1) ORDER BY id)sql"),
      next_retry_(db, R"sql(
        SELECT min(run_at) FROM job WHERE batch_id = ?1 AND state = 'waiting'
          AND superseded_by IS NULL)sql"),
      text_bytes_(db, R"sql(
        SELECT coalesce(sum(iif(state = 'done', text_bytes, 0)), 0),
               coalesce(sum(iif(state IN ('ready', 'waiting', 'blocked', 'running'),
                                text_bytes, 0)), 0)
        FROM job WHERE batch_id = ?1 AND superseded_by IS NULL AND parent_id IS NULL)sql"),
      activity_(db, R"sql(
        SELECT model, sum(outcome = 'answered'), sum(outcome = 'rate_limited'),
               sum(outcome != 'answered' AND outcome != 'rate_limited'),
               coalesce(sum(cost_pusd), 0),
               sum(iif(fresh_tokens IS NULL, 0, estimated_tokens)),
               coalesce(sum(fresh_tokens + cached_tokens + cache_write_tokens), 0)
        FROM attempt WHERE batch_id = ?1 AND settled_at IS NOT NULL
        GROUP BY model ORDER BY min(id))sql"),
      latencies_(db, R"sql(
        SELECT model, total_ms FROM
          (SELECT model, total_ms, outcome FROM attempt WHERE batch_id = ?1
           ORDER BY id DESC LIMIT 5000)
        WHERE outcome = 'answered' AND total_ms IS NOT NULL ORDER BY total_ms)sql"),
      estimates_(db, R"sql(
        WITH recent AS (
          SELECT batch_id, model, estimated_tokens AS estimated, output_tokens, total_ms,
                 fresh_tokens + cached_tokens + cache_write_tokens AS reported
          FROM (SELECT * FROM attempt ORDER BY id DESC LIMIT 20000)
          WHERE estimated_tokens > 0 AND fresh_tokens IS NOT NULL AND outcome = 'answered')
        SELECT batch.task, model, count(*), sum(estimated), sum(reported),
               sum(1.0 * reported * reported / estimated / estimated),
               sum(output_tokens), sum(total_ms)
        FROM recent JOIN batch ON batch.id = batch_id GROUP BY batch.task, model)sql") {}

std::vector<Batch> StoreReader::batches() {
  std::vector<std::string> names;
  for (Cursor row = batches_.run(); row.next();) names.push_back(row.text(0));
  std::vector<Batch> batches;
  for (const std::string& name : names) batches.push_back(*jobs_.batch(name));
  return batches;
}

std::optional<Batch> StoreReader::batch(const std::string& name) {
  return jobs_.batch(name);
}

void add(JobCounts& counts, const std::string& state, std::int64_t jobs) {
  if (state == "ready") counts.ready += jobs;
  if (state == "waiting" || state == "blocked") counts.waiting += jobs;
  if (state == "running") counts.running += jobs;
  if (state == "held") counts.held += jobs;
  if (state == "done") counts.done += jobs;
  if (state == "failed") counts.failed += jobs;
  if (state == "cancelled") counts.cancelled += jobs;
}

JobCounts StoreReader::counts(BatchId batch) {
  JobCounts counts;
  for (Cursor row = counts_.run(batch); row.next();) {
    add(counts, row.text(0), row.integer(1));
  }
  return counts;
}

BatchMoney StoreReader::money(BatchId batch) {
  BatchMoney money;
  const auto only = [](Statement& statement, BatchId id) {
    Cursor row = statement.run(id);
    CHECK(row.next());
    return row.integer(0);
  };
  money.measured_pusd = only(measured_, batch);
  money.in_flight_pusd = only(open_, batch);
  money.unpriced_requests = only(unpriced_, batch);
  Cursor row = unknown_.run(batch);
  CHECK(row.next());
  money.possible_pusd = row.integer(0);
  money.unknown_requests = row.integer(1);
  return money;
}

std::vector<ErrorCount> StoreReader::errors(BatchId batch) {
  std::vector<ErrorCount> errors;
  for (Cursor row = errors_.run(batch); row.next();) {
    errors.push_back({row.text(0), row.integer(1)});
  }
  return errors;
}

std::vector<UnknownAttempt> StoreReader::unknown_attempts(BatchId batch) {
  return ledger_.unknown_attempts(batch);
}

std::vector<ProviderPause> StoreReader::pauses() {
  return jobs_.pauses();
}

std::optional<WorkerRow> StoreReader::last_worker() {
  Cursor row = worker_.run();
  if (!row.next()) return std::nullopt;
  return WorkerRow{row.text(0), row.integer(1)};
}

std::vector<ModelActivity> StoreReader::activity(BatchId batch) {
  std::vector<ModelActivity> models;
  for (Cursor row = activity_.run(batch); row.next();) {
    models.push_back({row.text(0),
                      row.integer(1),
                      row.integer(2),
                      row.integer(3),
                      row.integer(4),
                      row.integer(5),
                      row.integer(6),
                      {}});
  }
  for (Cursor row = latencies_.run(batch); row.next();) {
    const std::string model = row.text(0);
    for (ModelActivity& activity : models) {
      if (activity.model == model) activity.total_ms.push_back(row.integer(1));
    }
  }
  return models;
}

std::vector<EstimateRecord> StoreReader::estimates() {
  std::vector<EstimateRecord> records;
  for (Cursor row = estimates_.run(); row.next();) {
    records.push_back({row.text(0), row.text(1), row.integer(2), row.integer(3), row.integer(4),
                       row.real(5), row.integer(6), row.integer(7)});
  }
  return records;
}

std::int64_t StoreReader::spending_since(std::int64_t since_ms) {
  std::int64_t sum_pusd = 0;
  for (const SpendingRow& row : ledger_.spending_since(since_ms)) sum_pusd += row.pusd;
  return sum_pusd;
}

std::int64_t StoreReader::answers_since(BatchId batch, std::int64_t since_ms) {
  Cursor row = answers_.run(batch, since_ms);
  CHECK(row.next());
  return row.integer(0);
}

std::optional<std::int64_t> StoreReader::next_retry_ms(BatchId batch) {
  Cursor row = next_retry_.run(batch);
  CHECK(row.next());
  return row.maybe_integer(0);
}

TextBytes StoreReader::text_bytes(BatchId batch) {
  Cursor row = text_bytes_.run(batch);
  CHECK(row.next());
  return {row.integer(0), row.integer(1)};
}

void StoreReader::each_result(BatchId batch, const std::string& item_key,
                              const std::function<void(const ResultRow&)>& take) {
  JobSpan left = span_of(db_, batch);
  for (;;) {
    std::vector<ResultRow> page;
    if (item_key.empty()) {
      for (Cursor row = results_.run(batch, left.before, kPage, left.last); row.next();) {
        page.push_back(read_result(row));
      }
    } else {
      for (Cursor row = result_by_key_.run(batch, item_key); row.next();) {
        page.push_back(read_result(row));
      }
    }
    if (page.empty()) return;
    left.before = page.back().id;
    for (ResultRow& result : page) take(completed(std::move(result)));
    if (!item_key.empty()) return;
  }
}

ResultRow StoreReader::completed(ResultRow row) {
  if (row.state != "done") {
    Cursor old = old_result_.run(row.id);
    if (old.next()) row = read_result(old);
  }
  add_attempts(row);
  return row;
}

std::vector<JobId> StoreReader::in_state(BatchId batch, const std::string& state) {
  std::vector<JobId> jobs;
  for (Cursor row = in_state_.run(batch, state); row.next();) jobs.push_back({row.integer(0)});
  return jobs;
}

ResultRow StoreReader::result(JobId job) {
  std::optional<ResultRow> found;
  for (Cursor row = result_by_id_.run(job); row.next();) found = read_result(row);
  CHECK(found);
  return completed(std::move(*found));
}

std::vector<ResultPiece> StoreReader::result_pieces(JobId job) {
  std::vector<ResultPiece> pieces;
  for (Cursor row = result_pieces_.run(job); row.next();) {
    pieces.push_back({row.integer(0), row.integer(1), row.text(2)});
  }
  return pieces;
}

void StoreReader::add_attempts(ResultRow& result) {
  for (Cursor row = attempts_of_job_.run(result.id); row.next();) {
    ++result.attempts;
    result.model = row.text(0);
    result.route = row.text(1);
    result.fell_back |= row.text(2) == "fallback";
    const std::string basis = row.is_null(3) ? "" : row.text(3);
    result.cost_pusd += row.maybe_integer(4).value_or(0);
    if (basis == "unknown" || basis.empty()) {
      result.possible_pusd += row.maybe_integer(5).value_or(0);
      result.is_unpriced |= row.is_null(5);
    }
    result.is_unpriced |= basis == "unpriced";
    if (const auto usage = read_usage(row, 6)) {
      if (!result.usage) result.usage.emplace();
      add(*result.usage, *usage);
    }
  }
}

}  // namespace docmill
