#include "store/report_reader.h"

#include <algorithm>

#include "base/check.h"
#include "store/usage_columns.h"

#define ATTEMPT_COLUMNS                                                                      \
  "SELECT a.id, a.job_id, a.batch_id, coalesce(j.item_key, ''), a.number, a.kind, a.route, " \
  "a.provider, a.model, coalesce(a.model_returned, ''), coalesce(a.outcome, ''), "           \
  "coalesce(a.cost_basis, ''), coalesce(a.provider_request_id, ''), a.opened_at, "           \
  "a.http_status, a.ceiling_pusd, a.cost_pusd, a.total_ms, " USAGE_COLUMNS                   \
  ", "                                                                                       \
  "a.settled_at, coalesce(a.service_tier, ''), "                                             \
  "a.reported_pusd, a.price_id FROM attempt a LEFT JOIN job j ON j.id = a.job_id "

namespace docmill {
namespace {

constexpr int kPageOfRows = 500;

// Pages walk the jobs by id. The + keeps SQLite from an index on batch_id, by which it would sort
// all of a batch for each page.

}  // namespace

ReportReader::ReportReader(Database& db)
    : db_(db),
      attempts_(db, ATTEMPT_COLUMNS "WHERE a.batch_id = ?1 AND a.id > ?2 ORDER BY a.id LIMIT ?3"),
      attempts_of_jobs_(db, ATTEMPT_COLUMNS
                        "WHERE a.job_id BETWEEN ?1 AND ?2 AND +a.batch_id = ?3 "
                        "AND j.parent_id IS NULL ORDER BY a.job_id, a.number"),
      attempts_of_pieces_(db, ATTEMPT_COLUMNS "WHERE j.root_id = ?1 ORDER BY a.id"),
      jobs_(db, R"sql(
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
        ORDER BY j.id LIMIT ?3)sql") {}

JobId before_jobs(Database& db, BatchId batch) {
  Statement first(db, "SELECT min(id) FROM job WHERE batch_id = ?1");
  Cursor row = first.run(batch);
  CHECK(row.next());
  return {row.is_null(0) ? 0 : row.integer(0) - 1};
}

// A batch's words stand in each of its rows; they are read once.
const ReportReader::Words& ReportReader::words_of(BatchId batch) {
  const auto known = words_.find(batch.value);
  if (known != words_.end()) return known->second;
  Statement words(db_, "SELECT name, task, tenant FROM batch WHERE id = ?1");
  Cursor row = words.run(batch);
  CHECK(row.next());
  return words_.emplace(batch.value, Words{row.text(0), row.text(1), row.text(2)}).first->second;
}

AttemptRow ReportReader::read_attempt(Cursor& row) {
  AttemptRow a;
  a.id = {row.integer(0)};
  a.job = {row.integer(1)};
  const Words& batch = words_of({row.integer(2)});
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
  a.usage = read_usage(row, 18);
  a.is_open = row.is_null(24);
  a.service_tier = row.text(25);
  a.reported_pusd = row.maybe_integer(26);
  if (const auto price = row.maybe_integer(27)) a.price = PriceId{*price};
  return a;
}

JobRow ReportReader::read_job(Cursor& row) {
  JobRow job;
  job.id = {row.integer(0)};
  const Words& batch = words_of({row.integer(1)});
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

void ReportReader::each_attempt(BatchId batch, const TakeAttempt& take) {
  AttemptId last;
  for (;;) {
    std::vector<AttemptRow> page;
    for (Cursor row = attempts_.run(batch, last, kPageOfRows); row.next();) {
      page.push_back(read_attempt(row));
    }
    if (page.empty()) return;
    last = page.back().id;
    for (const AttemptRow& attempt : page) take(attempt);
  }
}

std::vector<JobRow> ReportReader::jobs_after(BatchId batch, JobId last) {
  std::vector<JobRow> page;
  for (Cursor row = jobs_.run(batch, last, kPageOfRows); row.next();) page.push_back(read_job(row));
  return page;
}

void ReportReader::each_job(BatchId batch, const TakeJob& take) {
  JobId last = before_jobs(db_, batch);
  for (;;) {
    const std::vector<JobRow> page = jobs_after(batch, last);
    if (page.empty()) return;
    last = page.back().id;
    for (const JobRow& job : page) take(job);
  }
}

void ReportReader::add_attempts_of_pieces(const JobRow& document,
                                          std::vector<AttemptRow>& attempts) {
  for (Cursor row = attempts_of_pieces_.run(document.id); row.next();) {
    AttemptRow attempt = read_attempt(row);
    attempt.job = document.id;
    attempts.push_back(std::move(attempt));
  }
  std::sort(attempts.begin(), attempts.end(),
            [](const AttemptRow& a, const AttemptRow& b) { return a.id.value < b.id.value; });
}

void ReportReader::each_document(BatchId batch, const TakeDocument& take) {
  JobId last = before_jobs(db_, batch);
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
