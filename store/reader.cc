#include "store/reader.h"

#include <algorithm>

#include "base/check.h"
#include "store/job_sql.h"

#define RESULT_COLUMNS                                                                            \
  "j.id, j.item_key, j.source, j.state, coalesce(j.error_class, ''), "                            \
  "coalesce(j.error_message, ''), coalesce(x.extra, ''), o.body, coalesce(o.finish_reason, ''), " \
  "iif(j.reused_from IS NULL, '', (SELECT model FROM attempt WHERE id = o.attempt_id)), "         \
  "iif(j.reused_from IS NULL, j.level, (SELECT level FROM job WHERE id = j.reused_from)) > 0"
#define RESULT_TABLES                                     \
  " FROM job j LEFT JOIN job_extra x ON x.job_id = j.id " \
  "LEFT JOIN job_output o ON o.job_id = j.id "

#define ATTEMPT_COLUMNS                                                                       \
  "SELECT a.id, a.job_id, a.batch_id, coalesce(j.item_key, ''), a.number, a.kind, a.route, "  \
  "a.provider, a.model, coalesce(a.model_returned, ''), coalesce(a.outcome, ''), "            \
  "coalesce(a.cost_basis, ''), coalesce(a.provider_request_id, ''), a.opened_at, "            \
  "a.http_status, a.ceiling_pusd, a.cost_pusd, a.total_ms, a.fresh_tokens, a.cached_tokens, " \
  "a.cache_write_tokens, a.output_tokens, a.reasoning_tokens, "                               \
  "coalesce(a.cache_write_1h_tokens, 0), a.settled_at, coalesce(a.service_tier, ''), "        \
  "a.reported_pusd, a.price_id FROM attempt a LEFT JOIN job j ON j.id = a.job_id "

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

std::optional<Usage> read_usage_columns(Cursor& row, int first) {
  if (row.is_null(first)) return std::nullopt;
  return Usage{row.integer(first),     row.integer(first + 1), row.integer(first + 2),
               row.integer(first + 3), row.integer(first + 4), row.integer(first + 5)};
}

}  // namespace

StoreReader::StoreReader(Database& db)
    : jobs_(db),
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
        SELECT coalesce(sum(ceiling_pusd), 0), count(*) FROM attempt
        WHERE cost_basis = 'unknown' AND batch_id = ?1)sql"),
      unpriced_(db, R"sql(
        SELECT (SELECT count(*) FROM attempt WHERE cost_basis = 'unpriced' AND batch_id = ?1) +
               (SELECT count(*) FROM attempt WHERE cost_basis = 'unknown' AND batch_id = ?1
                AND ceiling_pusd IS NULL))sql"),
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
        WHERE +j.batch_id = ?1 AND j.id > ?2 AND j.superseded_by IS NULL AND j.parent_id IS NULL
        ORDER BY j.id LIMIT ?3)sql"),
      result_by_key_(db, "SELECT " RESULT_COLUMNS RESULT_TABLES R"sql(
        WHERE j.batch_id = ?1 AND j.item_key = ?2 AND j.superseded_by IS NULL)sql"),
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
        SELECT model, route, kind, cost_basis, cost_pusd, ceiling_pusd, fresh_tokens,
               cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
               coalesce(cache_write_1h_tokens, 0)
        FROM attempt
        WHERE job_id = ?1 OR job_id IN (SELECT id FROM job WHERE root_id = ?1) ORDER BY id)sql"),
      attempts_(db, ATTEMPT_COLUMNS "WHERE a.batch_id = ?1 AND a.id > ?2 ORDER BY a.id LIMIT ?3"),
      attempts_of_jobs_(db, ATTEMPT_COLUMNS
                        "WHERE a.job_id BETWEEN ?1 AND ?2 AND +a.batch_id = ?3 "
                        "AND j.parent_id IS NULL ORDER BY a.job_id, a.number"),
      attempts_of_pieces_(db, ATTEMPT_COLUMNS "WHERE j.root_id = ?1 ORDER BY a.id"),
      job_rows_(db, R"sql(
        SELECT j.id, j.batch_id, j.item_key, j.source, j.state,
               coalesce(a.provider, ''), coalesce(a.model, ''), coalesce(a.route, ''),
               coalesce(a.opened_at, j.created_at),
               (j.requests > 1 OR j.level > 0) AND EXISTS (
                 SELECT 1 FROM attempt f WHERE f.kind = 'fallback' AND (f.job_id = j.id
                   OR (j.level > 0 AND f.job_id IN (SELECT id FROM job WHERE root_id = j.id)))),
               j.superseded_by IS NOT NULL, coalesce(j.error_class, ''),
               coalesce(j.error_message, ''), j.level, j.reused_from IS NOT NULL,
               coalesce(j.saved_pusd, 0)
        FROM job j LEFT JOIN attempt a ON a.id = iif(j.level = 0,
          (SELECT b.id FROM attempt b WHERE b.job_id = j.id AND b.number = j.requests),
          (SELECT max(b.id) FROM attempt b
           WHERE b.job_id = j.id OR b.job_id IN (SELECT id FROM job WHERE root_id = j.id)))
        WHERE +j.batch_id = ?1 AND j.id > ?2 AND j.parent_id IS NULL
        ORDER BY j.id LIMIT ?3)sql"),
      first_job_(db, "SELECT min(id) FROM job WHERE batch_id = ?1"),
      next_retry_(db, R"sql(
        SELECT min(run_at) FROM job WHERE batch_id = ?1 AND state = 'waiting'
          AND superseded_by IS NULL)sql"),
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

std::int64_t StoreReader::first_before(BatchId batch) {
  Cursor row = first_job_.run(batch);
  CHECK(row.next());
  return row.is_null(0) ? 0 : row.integer(0) - 1;
}

void StoreReader::each_result(BatchId batch, const std::string& item_key,
                              const std::function<void(const ResultRow&)>& take) {
  JobId last{first_before(batch)};
  for (;;) {
    std::vector<ResultRow> page;
    if (item_key.empty()) {
      for (Cursor row = results_.run(batch, last, kPage); row.next();) {
        page.push_back(read_result(row));
      }
    } else {
      for (Cursor row = result_by_key_.run(batch, item_key); row.next();) {
        page.push_back(read_result(row));
      }
    }
    if (page.empty()) return;
    last = page.back().id;
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
    if (const auto usage = read_usage_columns(row, 6)) {
      if (!result.usage) result.usage.emplace();
      add(*result.usage, *usage);
    }
  }
}

// A batch's words stand in each of its rows; they are read once.
const Batch& StoreReader::words_of(BatchId batch) {
  const auto known = words_.find(batch.value);
  if (known != words_.end()) return known->second;
  return words_.emplace(batch.value, jobs_.batch(batch)).first->second;
}

AttemptRow StoreReader::read_attempt(Cursor& row) {
  AttemptRow a;
  a.id = {row.integer(0)};
  a.job = {row.integer(1)};
  const Batch& batch = words_of({row.integer(2)});
  a.batch = batch.name;
  a.task = batch.task;
  a.tenant = batch.tenant;
  a.item_key = row.text(3);
  a.number = row.small(4);
  a.kind = row.text(5);
  a.route = row.text(6);
  a.provider = row.text(7);
  a.model = row.text(8);
  a.model_returned = row.text(9);
  a.outcome = row.text(10);
  a.cost_basis = row.text(11);
  a.provider_request_id = row.text(12);
  a.opened_at_ms = row.integer(13);
  a.http_status = row.maybe_integer(14);
  a.ceiling_pusd = row.maybe_integer(15);
  a.cost_pusd = row.maybe_integer(16);
  a.total_ms = row.maybe_integer(17);
  a.usage = read_usage_columns(row, 18);
  a.is_open = row.is_null(24);
  a.service_tier = row.text(25);
  a.reported_pusd = row.maybe_integer(26);
  if (const auto price = row.maybe_integer(27)) a.price = PriceId{*price};
  return a;
}

JobRow StoreReader::read_job(Cursor& row) {
  JobRow job;
  job.id = {row.integer(0)};
  const Batch& batch = words_of({row.integer(1)});
  job.batch = batch.name;
  job.task = batch.task;
  job.tenant = batch.tenant;
  job.item_key = row.text(2);
  job.source = row.text(3);
  job.state = row.text(4);
  job.provider = row.text(5);
  job.model = row.text(6);
  job.route = row.text(7);
  job.at_ms = row.integer(8);
  job.fell_back = row.integer(9) != 0;
  job.is_superseded = row.integer(10) != 0;
  job.error_class = row.text(11);
  job.error_message = row.text(12);
  job.is_cut = row.integer(13) > 0;
  job.is_reused = row.integer(14) != 0;
  job.saved_pusd = row.integer(15);
  return job;
}

void StoreReader::each_attempt(BatchId batch, const std::function<void(const AttemptRow&)>& take) {
  AttemptId last;
  for (;;) {
    std::vector<AttemptRow> page;
    for (Cursor row = attempts_.run(batch, last, kPage); row.next();) {
      page.push_back(read_attempt(row));
    }
    if (page.empty()) return;
    last = page.back().id;
    for (const AttemptRow& attempt : page) take(attempt);
  }
}

std::vector<JobRow> StoreReader::jobs_after(BatchId batch, JobId last) {
  std::vector<JobRow> page;
  for (Cursor row = job_rows_.run(batch, last, kPage); row.next();) page.push_back(read_job(row));
  return page;
}

void StoreReader::each_job(BatchId batch, const std::function<void(const JobRow&)>& take) {
  JobId last{first_before(batch)};
  for (;;) {
    const std::vector<JobRow> page = jobs_after(batch, last);
    if (page.empty()) return;
    last = page.back().id;
    for (const JobRow& job : page) take(job);
  }
}

void StoreReader::add_attempts_of_pieces(const JobRow& document,
                                         std::vector<AttemptRow>& attempts) {
  for (Cursor row = attempts_of_pieces_.run(document.id); row.next();) {
    AttemptRow attempt = read_attempt(row);
    attempt.job = document.id;
    attempts.push_back(std::move(attempt));
  }
  std::sort(attempts.begin(), attempts.end(),
            [](const AttemptRow& a, const AttemptRow& b) { return a.id.value < b.id.value; });
}

void StoreReader::each_document(
    BatchId batch, const std::function<void(const JobRow&, const std::vector<AttemptRow>&)>& take) {
  JobId last{first_before(batch)};
  for (;;) {
    const std::vector<JobRow> page = jobs_after(batch, last);
    if (page.empty()) return;
    last = page.back().id;
    std::map<std::int64_t, std::vector<AttemptRow>> attempts;  // by job
    for (Cursor row = attempts_of_jobs_.run(page.front().id, last, batch); row.next();) {
      AttemptRow attempt = read_attempt(row);
      attempts[attempt.job.value].push_back(std::move(attempt));
    }
    for (const JobRow& job : page) {
      std::vector<AttemptRow>& own = attempts[job.id.value];
      if (job.is_cut) add_attempts_of_pieces(job, own);
      take(job, own);
    }
  }
}

}  // namespace docmill
