#include "store/job_life.h"

#include "store/statement.h"

namespace docmill {
namespace {

LifeAttempt read_life_attempt(Cursor& row) {
  LifeAttempt a;
  a.number = row.small(0);
  a.provider = row.text(1);
  a.model = row.text(2);
  a.model_asked = row.text(3);
  a.model_returned = row.text(4);
  a.kind = row.text(5);
  a.outcome = row.text(6);
  a.error_message = row.text(7);
  a.provider_request_id = row.text(8);
  a.finish_reason = row.text(9);
  a.cost_basis = row.text(10);
  a.usage_json = row.text(11);
  a.opened_at_ms = row.integer(12);
  a.settled_at_ms = row.maybe_integer(13);
  a.http_status = row.maybe_integer(14);
  a.total_ms = row.maybe_integer(15);
  a.ceiling_pusd = row.maybe_integer(16);
  a.cost_pusd = row.maybe_integer(17);
  if (!row.is_null(18)) {
    a.usage =
        Usage{row.integer(18), row.integer(19), row.integer(20), row.integer(21), row.integer(22)};
  }
  a.piece = row.text(24);
  a.waited_for = row.text(23);
  return a;
}

JobLife read_life(Cursor& row) {
  JobLife life;
  life.id = {row.integer(0)};
  life.item_key = row.text(1);
  life.source = row.text(2);
  life.state = row.text(3);
  life.error_class = row.text(4);
  life.error_message = row.text(5);
  life.text_bytes = row.integer(6);
  life.created_at_ms = row.integer(7);
  life.finished_at_ms = row.maybe_integer(8);
  life.run_at_ms = row.maybe_integer(9);
  life.crashes = row.integer(10);
  life.is_superseded = row.integer(11) != 0;
  return life;
}

}  // namespace

std::vector<JobLife> read_lives(Database& db, BatchId batch, const std::string& item_key) {
  Statement jobs(db, R"sql(
    SELECT id, item_key, source, state, coalesce(error_class, ''), coalesce(error_message, ''),
           text_bytes, created_at, finished_at, run_at, crashes, superseded_by IS NOT NULL
    FROM job WHERE batch_id = ?1 AND item_key = ?2
    ORDER BY superseded_by IS NOT NULL, id DESC LIMIT 100)sql");
  Statement attempts(db, R"sql(
    SELECT number, provider, model, model_asked, coalesce(model_returned, ''), kind,
           coalesce(outcome, ''), coalesce(attempt.error_message, ''),
           coalesce(provider_request_id, ''), coalesce(finish_reason, ''),
           coalesce(cost_basis, ''), coalesce(usage_json, ''),
           opened_at, settled_at, http_status, total_ms, ceiling_pusd, cost_pusd, fresh_tokens,
           cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
           coalesce(waited_for, ''), coalesce(job.piece_level || '.' || job.piece, '')
    FROM attempt JOIN job ON job.id = attempt.job_id
    WHERE attempt.job_id = ?1 OR attempt.job_id IN (SELECT id FROM job WHERE root_id = ?1)
    ORDER BY attempt.id LIMIT ?2)sql");
  Statement cuttings(db, R"sql(
    SELECT piece_level, count(*), sum(state = 'done') FROM job WHERE parent_id = ?1
    GROUP BY piece_level ORDER BY piece_level)sql");
  std::vector<JobLife> lives;
  for (Cursor row = jobs.run(batch, item_key); row.next();) lives.push_back(read_life(row));
  for (JobLife& life : lives) {
    for (Cursor row = attempts.run(life.id, kMostLifeAttempts); row.next();) {
      life.attempts.push_back(read_life_attempt(row));
    }
    for (Cursor row = cuttings.run(life.id); row.next();) {
      life.cuttings.push_back({row.small(0), row.integer(1), row.integer(2)});
    }
  }
  return lives;
}

}  // namespace docmill
