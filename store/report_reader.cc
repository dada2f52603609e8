#include "store/report_reader.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "store/snapshot.h"
#include "store/usage_columns.h"

#define COUNTED_ATTEMPT                                                                     \
  "a.kind, a.route, a.provider, a.model, a.model_returned, a.outcome, a.cost_basis, "       \
  "a.service_tier, a.opened_at, a.ceiling_pusd, a.cost_pusd, a.reported_pusd, a.total_ms, " \
  "a.settled_at, " USAGE_COLUMNS
#define ATTEMPT_AND_JOB " FROM attempt a LEFT JOIN job j ON j.id = a.job_id "
#define ATTEMPT_ROWS                                                \
  "SELECT " COUNTED_ATTEMPT                                         \
  ", a.id, a.job_id, j.item_key, a.provider_request_id, a.number, " \
  "a.http_status, a.price_id" ATTEMPT_AND_JOB

#define COUNTED_JOB \
  "j.state, j.superseded_by IS NOT NULL, j.reused_from IS NOT NULL, coalesce(j.saved_pusd, 0), "

// SQLite evaluates both sides of an AND in a column, so an EXISTS that is dear stands in an iif.

// The documents of a batch, each with its last attempt, in pages that walk the jobs by id. The +
// keeps SQLite from an index on batch_id, by which it would sort all of a batch for each page.
#define JOB_ROWS(which)                                                                    \
  "SELECT " COUNTED_JOB                                                                    \
  "iif(j.requests > 1 OR j.level > 0, EXISTS ("                                            \
  "  SELECT 1 FROM attempt f WHERE f.kind = 'fallback' AND (f.job_id = j.id"               \
  "    OR (j.level > 0 AND f.job_id IN (SELECT id FROM job WHERE root_id = j.id)))), 0),"  \
  "a.provider, a.model, a.route, coalesce(a.opened_at, j.created_at), "                    \
  "j.id, j.item_key, j.source, j.error_class, j.error_message, j.level "                   \
  "FROM job j LEFT JOIN attempt a ON a.id = iif(j.level = 0,"                              \
  "  (SELECT b.id FROM attempt b WHERE b.job_id = j.id AND b.number = j.requests),"        \
  "  (SELECT max(b.id) FROM attempt b"                                                     \
  "   WHERE b.job_id = j.id OR b.job_id IN (SELECT id FROM job WHERE root_id = j.id))) "   \
  "WHERE +j.batch_id = ?1 AND j.id > ?2 AND j.id <= ?4 AND j.parent_id IS NULL AND " which \
  " ORDER BY j.id LIMIT ?3"

namespace docmill {
namespace {

constexpr int kPageOfRows = 500;

// Where the next columns begin.
constexpr int kCountedAttempt = 14 + kUsageColumns;
constexpr int kCountedJob = 5;

// Rows are read into others, whose texts have their room already.

void read_counted(Cursor& row, CountedAttempt& a) {
  row.text(0, a.kind);
  row.text(1, a.route);
  row.text(2, a.provider);
  row.text(3, a.model);
  row.text(4, a.model_returned);
  row.text(5, a.outcome);
  row.text(6, a.cost_basis);
  row.text(7, a.service_tier);
  a.opened_at_ms = row.integer(8);
  a.ceiling_pusd = row.maybe_integer(9);
  a.cost_pusd = row.maybe_integer(10);
  a.reported_pusd = row.maybe_integer(11);
  a.total_ms = row.maybe_integer(12);
  a.is_open = row.is_null(13);
  a.usage = read_usage(row, 14);
}

void read_attempt(Cursor& row, const BatchWords& words, AttemptRow& a) {
  static_cast<BatchWords&>(a) = words;
  read_counted(row, a);
  a.id = {row.integer(kCountedAttempt)};
  a.job = {row.integer(kCountedAttempt + 1)};
  row.text(kCountedAttempt + 2, a.item_key);
  row.text(kCountedAttempt + 3, a.provider_request_id);
  a.number = row.small(kCountedAttempt + 4);
  a.http_status = row.maybe_integer(kCountedAttempt + 5);
  const auto price = row.maybe_integer(kCountedAttempt + 6);
  a.price = price ? std::optional(PriceId{*price}) : std::nullopt;
}

void read_counted(Cursor& row, int first, CountedJob& job) {
  row.text(first, job.state);
  job.is_superseded = row.integer(first + 1) != 0;
  job.is_reused = row.integer(first + 2) != 0;
  job.saved_pusd = row.integer(first + 3);
  job.fell_back = row.integer(first + 4) != 0;
}

void add_last_attempt(const CountedAttempt& last, CountedJob& job) {
  job.provider = last.provider;
  job.model = last.model;
  job.route = last.route;
  job.at_ms = last.opened_at_ms;
}

void read_job(Cursor& row, const BatchWords& words, JobRow& job) {
  static_cast<BatchWords&>(job) = words;
  read_counted(row, 0, job);
  row.text(kCountedJob, job.provider);
  row.text(kCountedJob + 1, job.model);
  row.text(kCountedJob + 2, job.route);
  job.at_ms = row.integer(kCountedJob + 3);
  job.id = {row.integer(kCountedJob + 4)};
  row.text(kCountedJob + 5, job.item_key);
  row.text(kCountedJob + 6, job.source);
  row.text(kCountedJob + 7, job.error_class);
  row.text(kCountedJob + 8, job.error_message);
  job.is_cut = row.integer(kCountedJob + 9) > 0;
}

}  // namespace

ReportReader::ReportReader(Database& db)
    : db_(db),
      words_(db, "SELECT name, task, tenant FROM batch WHERE id = ?1"),
      attempts_(db, ATTEMPT_ROWS "WHERE a.batch_id = ?1 AND a.id > ?2 ORDER BY a.id LIMIT ?3"),
      attempts_of_jobs_(db, ATTEMPT_ROWS
                        "WHERE a.job_id BETWEEN ?1 AND ?2 AND +a.batch_id = ?3 "
                        "AND j.parent_id IS NULL ORDER BY a.job_id, a.number"),
      attempts_of_pieces_(db, ATTEMPT_ROWS "WHERE j.root_id = ?1 ORDER BY a.id"),
      // The last column first says whether the attempt decides its document's row; a cut one's may
      // be a piece's.
      counted_(
          db,
          "SELECT " COUNTED_ATTEMPT
          ", ifnull(a.number = j.requests AND j.level = 0 AND j.parent_id IS NULL, 0), " COUNTED_JOB
          "iif(j.requests > 1 AND a.number = j.requests, EXISTS ("
          "  SELECT 1 FROM attempt f WHERE f.kind = 'fallback' AND f.job_id = j.id), "
          "0)" ATTEMPT_AND_JOB "WHERE a.batch_id = ?1 ORDER BY a.id"),
      jobs_(db, JOB_ROWS("true")),
      unsent_jobs_(db, JOB_ROWS("(j.requests = 0 OR j.level > 0)")) {}

JobSpan span_of(Database& db, BatchId batch) {
  Statement ends(db, "SELECT min(id), max(id) FROM job WHERE batch_id = ?1");
  Cursor row = ends.run(batch);
  CHECK(row.next());
  if (row.is_null(0)) return {};
  return {{row.integer(0) - 1}, {row.integer(1)}};
}

BatchWords ReportReader::words_of(BatchId batch) {
  Cursor row = words_.run(batch);
  CHECK(row.next());
  return {row.text(0), row.text(1), row.text(2)};
}

void ReportReader::each_counted(BatchId batch, const TakeCountedJob& take_job,
                                const TakeCountedAttempt& take_attempt) {
  const Snapshot one_moment(db_);
  const BatchWords words = words_of(batch);
  CountedAttempt attempt;
  CountedJob document;
  static_cast<BatchWords&>(attempt) = static_cast<BatchWords&>(document) = words;
  for (Cursor row = counted_.run(batch); row.next();) {
    read_counted(row, attempt);
    take_attempt(attempt);
    const bool is_last = row.integer(kCountedAttempt) != 0;
    if (!is_last) continue;
    read_counted(row, kCountedAttempt + 1, document);
    add_last_attempt(attempt, document);
    take_job(document);
  }
  JobRow unsent;
  const JobSpan span = span_of(db_, batch);
  for (Cursor row = unsent_jobs_.run(batch, span.before, -1, span.last); row.next();) {
    read_job(row, words, unsent);
    take_job(unsent);
  }
}

void ReportReader::each_attempt(BatchId batch, const TakeAttempt& take) {
  const BatchWords words = words_of(batch);
  AttemptId last;
  std::vector<AttemptRow> page;
  for (;;) {
    page.clear();
    for (Cursor row = attempts_.run(batch, last, kPageOfRows); row.next();) {
      read_attempt(row, words, page.emplace_back());
    }
    if (page.empty()) return;
    last = page.back().id;
    for (const AttemptRow& attempt : page) take(attempt);
  }
}

void ReportReader::each_page(BatchId batch, const BatchWords& words,
                             const std::function<void(const std::vector<JobRow>&)>& take) {
  JobSpan left = span_of(db_, batch);
  for (;;) {
    std::vector<JobRow> page;
    for (Cursor row = jobs_.run(batch, left.before, kPageOfRows, left.last); row.next();) {
      read_job(row, words, page.emplace_back());
    }
    if (page.empty()) return;
    left.before = page.back().id;
    take(page);
  }
}

void ReportReader::each_job(BatchId batch, const TakeJob& take) {
  each_page(batch, words_of(batch), [&](const std::vector<JobRow>& page) {
    for (const JobRow& job : page) take(job);
  });
}

void ReportReader::add_attempts_of_pieces(const JobRow& document,
                                          std::vector<AttemptRow>& attempts) {
  for (Cursor row = attempts_of_pieces_.run(document.id); row.next();) {
    read_attempt(row, document, attempts.emplace_back());
    attempts.back().job = document.id;
  }
  std::sort(attempts.begin(), attempts.end(),
            [](const AttemptRow& a, const AttemptRow& b) { return a.id.value < b.id.value; });
}

void ReportReader::each_document(BatchId batch, const TakeDocument& take) {
  const BatchWords words = words_of(batch);
  each_page(batch, words, [&](const std::vector<JobRow>& page) {
    std::map<std::int64_t, std::vector<AttemptRow>> attempts;  // by job
    for (Cursor row = attempts_of_jobs_.run(page.front().id, page.back().id, batch); row.next();) {
      const std::int64_t job = row.integer(kCountedAttempt + 1);
      read_attempt(row, words, attempts[job].emplace_back());
    }
    for (const JobRow& job : page) {
      std::vector<AttemptRow>& own = attempts[job.id.value];
      if (job.is_cut) add_attempts_of_pieces(job, own);
      take(job, own);
    }
  });
}

}  // namespace docmill
