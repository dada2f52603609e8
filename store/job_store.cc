#include "store/job_store.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/errors.h"
#include "store/job_sql.h"
#include "store/purses.h"

namespace docmill {
namespace {

Batch read_batch(Cursor& row) {
  Batch batch;
  batch.id = {row.integer(0)};
  batch.name = row.text(1);
  batch.task = row.text(2);
  batch.tenant = row.text(3);
  batch.spec = row.text(4);
  batch.cap_pusd = row.maybe_integer(5);
  batch.spent_pusd = row.integer(6);
  batch.reserved_pusd = row.integer(7);
  batch.created_at_ms = row.integer(8);
  batch.sealed_at_ms = row.maybe_integer(9);
  batch.paused_at_ms = row.maybe_integer(10);
  if (!row.is_null(11)) batch.held_reason = row.text(11);
  batch.cancelled_at_ms = row.maybe_integer(12);
  batch.cut_at_ms = row.maybe_integer(13);
  batch.finished_at_ms = row.maybe_integer(14);
  batch.paused_reason = row.text(15);
  batch.exported_at_ms = row.maybe_integer(16);
  batch.pruned_at_ms = row.maybe_integer(17);
  return batch;
}

Job read_job(Cursor& row) {
  Job job;
  job.id = {row.integer(0)};
  job.batch = {row.integer(1)};
  job.input_id = row.integer(2);
  job.text_bytes = row.integer(3);
  job.priority = row.integer(4);
  job.route = row.small(5);
  job.position = row.small(6);
  job.tries = row.small(7);
  job.unsure = row.small(8);
  job.crashes = row.small(9);
  job.requests = row.small(10);
  job.requests_before = row.small(11);
  job.created_at_ms = row.integer(12);
  job.raised_output_tokens = row.maybe_integer(13);
  if (!row.is_null(14)) job.parent = JobId{row.integer(14)};
  job.piece = row.is_null(15) ? 0 : row.small(15);
  job.level = row.small(16);
  job.piece_level = row.small(17);
  job.error_class = row.text(18);
  job.error_message = row.text(19);
  return job;
}

std::optional<std::int64_t> keep_text(Texts& texts, const NewJob& job) {
  if (!job.text) return std::nullopt;
  return texts.keep(job.content_hash, *job.text, job.frame);
}

}  // namespace

JobStore::JobStore(Database& db)
    : db_(db),
      texts_(db),
      pieces_(db, texts_),
      insert_batch_(db, R"sql(
        INSERT INTO batch (name, task, tenant, spec, cap_pusd, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6))sql"),
      batch_by_name_(db, "SELECT " BATCH_COLUMNS " FROM batch WHERE name = ?1"),
      batch_by_id_(db, "SELECT " BATCH_COLUMNS " FROM batch WHERE id = ?1"),
      open_batches_(db,
                    "SELECT " BATCH_COLUMNS " FROM batch WHERE finished_at IS NULL ORDER BY id"),
      set_sealed_(db, "UPDATE batch SET sealed_at = ?2 WHERE id = ?1"),
      set_paused_(db, "UPDATE batch SET paused_at = ?2, paused_reason = NULL WHERE id = ?1"),
      set_held_(db, "UPDATE batch SET held_reason = ?2 WHERE id = ?1"),
      set_cap_(db, "UPDATE batch SET cap_pusd = ?2 WHERE id = ?1"),
      set_cancelled_(db, "UPDATE batch SET cancelled_at = ?2, cut_at = ?3 WHERE id = ?1"),
      reopen_(db, R"sql(
        UPDATE batch SET finished_at = NULL, held_reason = NULL, cancelled_at = NULL, cut_at = NULL,
               exported_at = NULL
        WHERE id = ?1)sql"),
      drop_empty_(db, R"sql(
        DELETE FROM batch WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE batch_id = ?1)
          AND NOT EXISTS (SELECT 1 FROM attempt WHERE batch_id = ?1))sql"),
      finish_(db, R"sql(
        UPDATE batch SET finished_at = ?2
        WHERE id = ?1 AND finished_at IS NULL AND sealed_at IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM job INDEXED BY job_ready
          WHERE batch_id = ?1 AND state = 'ready' AND superseded_by IS NULL)
        AND NOT EXISTS (
          SELECT 1 FROM job INDEXED BY job_by_state WHERE batch_id = ?1 AND superseded_by IS NULL
          AND state IN ('waiting', 'blocked', 'held') AND )sql" STAYS R"sql()
        AND NOT EXISTS (SELECT 1 FROM )sql" RUNNING_JOBS
                  " WHERE j.batch_id = ?1 AND j.superseded_by IS NULL)"),
      versions_(db, R"sql(
        SELECT id, content_hash = ?3, superseded_by IS NULL, source FROM job
        WHERE batch_id = ?1 AND item_key = ?2 AND parent_id IS NULL)sql"),
      insert_job_(db, R"sql(
        INSERT INTO job (batch_id, item_key, content_hash, source, input_id, text_bytes, priority,
                         route, position, state, request_hash, error_class, error_message,
                         created_at, finished_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14))sql"),
      insert_extra_(db, "INSERT INTO job_extra (job_id, extra) VALUES (?1, ?2)"),
      any_result_(db, "SELECT 1 FROM job_output LIMIT 1"),
      reusable_(db, R"sql(
        SELECT j.id, coalesce((SELECT model FROM attempt WHERE id = o.attempt_id), ''),
               (SELECT coalesce(sum(cost_pusd), 0) FROM attempt
                WHERE job_id = j.id OR job_id IN (SELECT id FROM job WHERE root_id = j.id))
        FROM job_input i CROSS JOIN job j INDEXED BY job_by_input ON j.input_id = i.id
        JOIN batch b ON b.id = j.batch_id JOIN job_output o ON o.job_id = j.id
        WHERE i.hash = ?3 AND j.request_hash = ?1 AND j.state = 'done'
          AND j.parent_id IS NULL AND j.reused_from IS NULL AND b.tenant = ?2
        ORDER BY j.id DESC LIMIT 8)sql"),
      mark_reused_(db, R"sql(
        UPDATE job SET reused_from = ?2, saved_pusd = ?3,
               (error_class, error_message) =
                 (SELECT error_class, error_message FROM job WHERE id = ?2)
        WHERE id = ?1)sql"),
      has_output_(db, "SELECT 1 FROM job_output WHERE job_id = ?1"),
      copy_output_(db, R"sql(
        INSERT INTO job_output (job_id, attempt_id, finish_reason, body)
        SELECT ?1, attempt_id, finish_reason, body FROM job_output WHERE job_id = ?2)sql"),
      supersede_(db, R"sql(
        UPDATE job SET superseded_by = ?3
        WHERE batch_id = ?1 AND item_key = ?2 AND parent_id IS NULL AND id != ?3)sql"),
      cancel_superseded_(db, R"sql(
        UPDATE job SET state = 'cancelled', run_at = NULL, finished_at = ?3
        WHERE batch_id = ?1 AND item_key = ?2 AND parent_id IS NULL AND superseded_by IS NOT NULL
          AND state IN ('ready', 'waiting', 'blocked', 'held'))sql"),
      revive_(db, R"sql(
        UPDATE job SET superseded_by = NULL,
               state = iif(state = 'cancelled', 'ready', state),
               position = iif(state = 'cancelled', 0, position),
               tries = iif(state = 'cancelled', 0, tries),
               unsure = iif(state = 'cancelled', 0, unsure),
               finished_at = iif(state = 'cancelled', NULL, finished_at),
               input_id = coalesce(input_id, ?2)
        WHERE id = ?1)sql"),
      ready_(db, "SELECT " JOB_COLUMNS R"sql( FROM job
        WHERE batch_id = ?1 AND route = ?2 AND position = ?3 AND state = 'ready'
        ORDER BY priority DESC, id LIMIT ?4)sql"),
      smallest_(db, "SELECT " JOB_COLUMNS R"sql( FROM job
        WHERE batch_id = ?1 AND route = ?2 AND position = ?3 AND state = 'ready'
        ORDER BY raised_output_tokens IS NOT NULL, text_bytes, id LIMIT ?4)sql"),
      untried_(db, "SELECT " JOB_COLUMNS R"sql( FROM job WHERE id = (
          SELECT id FROM (
            SELECT id, error_class FROM job
            WHERE batch_id = ?1 AND route = ?2 AND position = ?3 AND state = 'ready'
            ORDER BY priority DESC, id LIMIT 1000)
          WHERE error_class IS NULL LIMIT 1))sql"),
      promote_(db, R"sql(
        UPDATE job SET state = 'ready', run_at = NULL WHERE id IN (
          SELECT id FROM job WHERE state = 'waiting' AND run_at <= ?1
          ORDER BY run_at LIMIT ?2))sql"),
      next_due_(db, R"sql(
        SELECT job.run_at FROM job JOIN batch ON batch.id = job.batch_id
        WHERE job.state = 'waiting' AND batch.paused_at IS NULL AND batch.held_reason IS NULL
          AND (?1 = '' OR batch.name = ?1)
        ORDER BY job.run_at LIMIT 1)sql"),
      has_waiting_(db, R"sql(
        SELECT 1 FROM job WHERE batch_id = ?1 AND state = 'waiting' AND superseded_by IS NULL
          AND )sql" STAYS " LIMIT 1"),
      clamp_due_(db, "UPDATE job SET run_at = ?1 WHERE state = 'waiting' AND run_at > ?1"),
      set_running_(db, R"sql(
        UPDATE job SET state = 'running', attempt_id = ?2, requests = requests + 1
        WHERE id = ?1 AND state = 'ready')sql"),
      leave_running_(db, R"sql(
        UPDATE job SET state = ?3, attempt_id = NULL, run_at = ?4, position = ?5, tries = ?6,
               unsure = ?7, error_class = ?8, error_message = ?9, finished_at = ?10,
               raised_output_tokens = coalesce(?11, raised_output_tokens),
               requests_before = requests_before + ?12
        WHERE id = ?1 AND state = 'running' AND attempt_id = ?2)sql"),
      running_(db, "SELECT " JOB_COLUMNS R"sql(, attempt_id FROM job
        WHERE state = 'running' AND (id, attempt_id) IN (
          SELECT job_id, id FROM attempt INDEXED BY attempt_open WHERE settled_at IS NULL))sql"),
      count_crash_(db, R"sql(
        UPDATE job SET crashes = crashes + 1
        WHERE id = ?1 AND state IN ('ready', 'running'))sql"),
      hold_crashed_(db, R"sql(
        UPDATE job SET state = 'held', error_class = 'crashes', error_message = ?3
        WHERE id = ?1 AND state = 'ready' AND crashes >= ?2)sql"),
      put_output_(db, R"sql(
        INSERT INTO job_output (job_id, attempt_id, finish_reason, body)
        VALUES (?1, ?2, ?3, ?4))sql"),
      cancel_jobs_(db, R"sql(
        UPDATE job SET state = 'cancelled', run_at = NULL, finished_at = ?2
        WHERE batch_id = ?1 AND state IN ('ready', 'waiting', 'blocked', 'held'))sql"),
      set_spec_(db, "UPDATE batch SET spec = ?2 WHERE id = ?1"),
      is_superseded_(db, "SELECT superseded_by IS NOT NULL FROM job WHERE id = ?1"),
      pause_provider_(db, R"sql(
        INSERT INTO provider_pause (provider, since, probe_at, reason) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (provider) DO UPDATE SET probe_at = ?3, reason = ?4)sql"),
      resume_provider_(db, "DELETE FROM provider_pause WHERE provider = ?1"),
      pauses_(db, "SELECT provider, reason, since, probe_at FROM provider_pause"),
      pass_over_(db, R"sql(
        UPDATE job SET state = ?2, position = ?3, tries = 0, unsure = 0, error_class = ?4,
               error_message = ?5, finished_at = ?6
        WHERE id = ?1 AND state = 'ready')sql"),
      set_exported_(db, "UPDATE batch SET exported_at = ?2 WHERE id = ?1"),
      set_pruned_(db, "UPDATE batch SET pruned_at = ?2 WHERE id = ?1"),
      prunable_(db, R"sql(
        SELECT id, input_id FROM job WHERE +batch_id = ?1 AND id > ?2 AND id <= ?4
        ORDER BY id LIMIT ?3)sql"),
      drop_output_(db, "DELETE FROM job_output WHERE job_id = ?1"),
      drop_extra_(db, "DELETE FROM job_extra WHERE job_id = ?1"),
      drop_text_(db, "UPDATE job SET input_id = NULL WHERE id = ?1 AND finished_at IS NOT NULL") {}

BatchId JobStore::insert_batch(const Batch& b) {
  insert_batch_.change(b.name, b.task, b.tenant, b.spec, b.cap_pusd, b.created_at_ms);
  return {last_insert_id(db_)};
}

std::optional<Batch> JobStore::batch(const std::string& name) {
  db_.purses().write();
  Cursor row = batch_by_name_.run(name);
  if (!row.next()) return std::nullopt;
  return read_batch(row);
}

std::optional<Batch> JobStore::find_batch(BatchId id) {
  db_.purses().write();
  Cursor row = batch_by_id_.run(id);
  if (!row.next()) return std::nullopt;
  return read_batch(row);
}

Batch JobStore::batch(BatchId id) {
  std::optional<Batch> found = find_batch(id);
  CHECK(found.has_value());
  return std::move(*found);
}

std::vector<Batch> JobStore::open_batches() {
  db_.purses().write();
  std::vector<Batch> batches;
  for (Cursor row = open_batches_.run(); row.next();) batches.push_back(read_batch(row));
  return batches;
}

void JobStore::set_sealed(BatchId id, std::optional<std::int64_t> at_ms) {
  set_sealed_.change(id, at_ms);
}

void JobStore::set_paused(BatchId id, std::optional<std::int64_t> at_ms) {
  set_paused_.change(id, at_ms);
}

void JobStore::set_held(BatchId id, const std::optional<std::string>& reason) {
  set_held_.change(id, reason);
}

void JobStore::set_cap(BatchId id, std::optional<std::int64_t> cap_pusd) {
  db_.purses().write();
  set_cap_.change(id, cap_pusd);
}

void JobStore::set_cancelled(BatchId id, std::int64_t at_ms,
                             std::optional<std::int64_t> cut_at_ms) {
  set_cancelled_.change(id, at_ms, cut_at_ms);
}

bool JobStore::drop_if_empty(BatchId id) {
  return drop_empty_.change(id) == 1;
}

void JobStore::reopen(BatchId id) {
  reopen_.change(id);
}

void JobStore::add_money(BatchId id, const MoneyChange& change) {
  db_.purses().add(id, change.spent_pusd, change.reserved_pusd);
}

bool JobStore::has_room(BatchId id, std::int64_t pusd) {
  return db_.purses().has_room(id, pusd);
}

bool JobStore::reserve(BatchId id, std::int64_t ceiling_pusd) {
  return db_.purses().reserve(id, ceiling_pusd);
}

bool JobStore::finish_if_ended(BatchId id, std::int64_t now_ms) {
  return finish_.change(id, now_ms) == 1;
}

JobStore::Versions JobStore::versions(BatchId batch, const std::string& item_key,
                                      const std::string& content_hash) {
  Versions found;
  for (Cursor row = versions_.run(batch, item_key, Blob{content_hash}); row.next();) {
    const bool is_current = row.integer(2) != 0;
    if (is_current) found.current_source = row.text(3);
    if (row.integer(1) == 0) continue;
    found.same = JobId{row.integer(0)};
    found.same_is_current = is_current;
  }
  return found;
}

Added JobStore::would_add(BatchId batch, const std::string& item_key,
                          const std::string& content_hash) {
  const Versions known = versions(batch, item_key, content_hash);
  if (known.same_is_current) return Added::unchanged;
  return known.same || known.current_source ? Added::changed : Added::fresh;
}

Added JobStore::add(BatchId batch, const NewJob& job, std::int64_t now_ms) {
  const Versions known = versions(batch, job.item_key, job.content_hash);
  if (known.same_is_current) return Added::unchanged;
  if (known.same) {  // the document went back to what it was
    revive_.change(*known.same, keep_text(texts_, job));
    pieces_.revive(*known.same);
    supersede(batch, job.item_key, *known.same, now_ms);
    return Added::changed;
  }
  if (known.current_source && *known.current_source != job.source) {
    throw UsageError(fmt::format(
        "the id \"{}\" is in the batch already, from {}, and now comes from {} with another "
        "text; give another --batch NAME",
        job.item_key, *known.current_source, job.source));
  }
  const JobId id = insert_job(batch, job, now_ms);
  if (!known.current_source) return Added::fresh;
  supersede(batch, job.item_key, id, now_ms);
  return Added::changed;
}

JobId JobStore::insert_job(BatchId batch, const NewJob& job, std::int64_t now_ms) {
  const std::optional<std::int64_t> input_id = keep_text(texts_, job);
  const auto unless_empty = [](const std::string& text) {
    return text.empty() ? std::optional<std::string>() : std::optional<std::string>(text);
  };
  const std::optional<std::string> error_class = unless_empty(job.error_class);
  const std::optional<std::string> error_message = unless_empty(job.error_message);
  CHECK(input_id.has_value() != error_class.has_value());
  const std::int64_t text_bytes = job.text ? static_cast<std::int64_t>(job.text->size()) : 0;
  // A prune may have been quicker.
  const bool is_reused = job.reuses && has_output_.run(*job.reuses).next();
  const char* state = is_reused ? "done" : (input_id ? "ready" : "failed");
  std::optional<std::int64_t> finished_at;
  if (is_reused || !input_id) finished_at.emplace(now_ms);
  insert_job_.change(batch, job.item_key, Blob{job.content_hash}, job.source, input_id, text_bytes,
                     job.priority, job.route, state, Blob{job.request_hash}, error_class,
                     error_message, now_ms, finished_at);
  const JobId id{last_insert_id(db_)};
  if (is_reused) {
    mark_reused_.change(id, *job.reuses, job.saved_pusd);
    CHECK(copy_output_.change(id, *job.reuses) == 1);
  }
  if (!job.extra.empty()) insert_extra_.change(id, job.extra);
  return id;
}

void JobStore::supersede(BatchId batch, const std::string& item_key, JobId by,
                         std::int64_t now_ms) {
  supersede_.change(batch, item_key, by);
  cancel_superseded_.change(batch, item_key, now_ms);
  pieces_.cancel_superseded(batch, item_key, now_ms);
}

bool JobStore::has_results() {
  return any_result_.run().next();
}

std::vector<Reusable> JobStore::reusable(const std::string& request_hash,
                                         const std::string& content_hash,
                                         const std::string& tenant) {
  std::vector<Reusable> found;
  for (Cursor row = reusable_.run(Blob{request_hash}, tenant, Blob{content_hash}); row.next();) {
    found.push_back({{row.integer(0)}, row.text(1), row.integer(2)});
  }
  return found;
}

std::vector<Job> JobStore::ready(BatchId batch, int route, int position, int limit) {
  CHECK(limit > 0);
  std::vector<Job> jobs;
  for (Cursor row = ready_.run(batch, route, position, limit); row.next();) {
    jobs.push_back(read_job(row));
  }
  return jobs;
}

std::vector<Job> JobStore::smallest_ready(BatchId batch, int route, int position, int limit) {
  std::vector<Job> jobs;
  for (Cursor row = smallest_.run(batch, route, position, limit); row.next();) {
    jobs.push_back(read_job(row));
  }
  return jobs;
}

std::optional<Job> JobStore::untried_ready(BatchId batch, int route, int position) {
  Cursor row = untried_.run(batch, route, position);
  if (!row.next()) return std::nullopt;
  return read_job(row);
}

int JobStore::promote_due(std::int64_t now_ms, int limit) {
  return promote_.change(now_ms, limit);
}

std::optional<std::int64_t> JobStore::next_due(const std::string& only_batch) {
  Cursor row = next_due_.run(only_batch);
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

bool JobStore::has_waiting(BatchId batch) {
  return has_waiting_.run(batch).next();
}

void JobStore::clamp_due(std::int64_t latest_ms) {
  clamp_due_.change(latest_ms);
}

bool JobStore::set_running(JobId job, AttemptId attempt) {
  return set_running_.change(job, attempt) == 1;
}

bool JobStore::leave_running(JobId job, AttemptId attempt, const JobChange& c) {
  CHECK(c.state != "running");
  return leave_running_.change(job, attempt, c.state, c.run_at_ms, c.position, c.tries, c.unsure,
                               c.error_class, c.error_message, c.finished_at_ms,
                               c.raised_output_tokens, c.uncounted_requests) == 1;
}

std::vector<std::pair<Job, AttemptId>> JobStore::running() {
  std::vector<std::pair<Job, AttemptId>> jobs;
  for (Cursor row = running_.run(); row.next();) {
    jobs.emplace_back(read_job(row), AttemptId{row.integer(20)});
  }
  return jobs;
}

void JobStore::count_crash(JobId job) {
  count_crash_.change(job);
}

bool JobStore::hold_after_crashes(JobId job, int max_crashes, const std::string& why) {
  return hold_crashed_.change(job, max_crashes, why) == 1;
}

void JobStore::put_output(JobId job, AttemptId attempt, const std::string& finish_reason,
                          const std::string& body) {
  put_output_.change(job, attempt, finish_reason, body);
}

int JobStore::cancel_jobs(BatchId batch, std::int64_t now_ms) {
  return cancel_jobs_.change(batch, now_ms);
}

void JobStore::set_spec(BatchId id, const std::string& spec) {
  set_spec_.change(id, spec);
}

bool JobStore::is_superseded(JobId job) {
  Cursor row = is_superseded_.run(job);
  CHECK(row.next());
  return row.integer(0) != 0;
}

void JobStore::pause_provider(const std::string& provider, const std::string& reason,
                              std::int64_t since_ms, std::int64_t probe_at_ms) {
  pause_provider_.change(provider, since_ms, probe_at_ms, reason);
}

std::vector<ProviderPause> JobStore::pauses() {
  std::vector<ProviderPause> pauses;
  for (Cursor row = pauses_.run(); row.next();) {
    pauses.push_back({row.text(0), row.text(1), row.integer(2), row.integer(3)});
  }
  return pauses;
}

bool JobStore::pass_over(JobId job, const JobChange& c) {
  return pass_over_.change(job, c.state, c.position, c.error_class, c.error_message,
                           c.finished_at_ms) == 1;
}

bool JobStore::resume_provider(const std::string& provider) {
  return resume_provider_.change(provider) == 1;
}

}  // namespace docmill
