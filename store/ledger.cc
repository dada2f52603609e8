#include "store/ledger.h"

#include <map>

#include "base/check.h"

namespace docmill {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
// Rows are in the order of their ids, their times nearly so: a wall clock may have been set between
// two lives of the worker.
constexpr std::int64_t kClockStepMs = 2 * kDayMs;

}  // namespace

Ledger::Ledger(Database& db)
    : db_(db),
      open_(db, R"sql(
        INSERT INTO attempt (job_id, batch_id, number, worker_id, route, provider, model,
                             model_asked, opened_at, request_bytes, max_output_tokens,
                             ceiling_pusd, ceiling_price_id, waited_for, estimated_tokens, kind)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                CASE WHEN ?3 = 1 THEN 'first'
                  WHEN (SELECT model FROM attempt WHERE job_id = ?1 AND number = ?3 - 1) = ?7
                    THEN 'retry'
                  ELSE 'fallback' END))sql"),
      money_of_(db, R"sql(
        SELECT ceiling_pusd FROM attempt WHERE id = ?1)sql"),
      settle_(db, R"sql(
        UPDATE attempt SET settled_at = ?2, outcome = ?3, error_message = ?4, http_status = ?5,
               provider_request_id = ?6, model_returned = ?7, finish_reason = ?8,
               fresh_tokens = ?9, cached_tokens = ?10, cache_write_tokens = ?11,
               output_tokens = ?12, reasoning_tokens = ?13, usage_json = ?14, price_id = ?15,
               cost_pusd = ?16, cost_basis = ?17, first_byte_ms = ?18, total_ms = ?19,
               provider_ms = ?20, service_tier = ?21, cache_write_1h_tokens = ?22,
               reported_pusd = ?23
        WHERE id = ?1 AND (settled_at IS NULL OR cost_basis = 'unknown'))sql"),
      resolve_(db, R"sql(
        UPDATE attempt SET cost_basis = ?2, cost_pusd = ?3, fresh_tokens = ?4, cached_tokens = ?5,
               cache_write_tokens = ?6, output_tokens = ?7, reasoning_tokens = ?8,
               cache_write_1h_tokens = ?9, usage_json = coalesce(?10, usage_json), price_id = ?11
        WHERE id = ?1 AND cost_basis = 'unknown')sql"),
      open_attempts_(db, R"sql(
        SELECT id, job_id, batch_id FROM attempt WHERE settled_at IS NULL ORDER BY id)sql"),
      unknown_attempts_(db, R"sql(
        SELECT a.id, a.batch_id, a.number, coalesce(j.item_key, ''), a.model, a.outcome,
               a.opened_at, a.ceiling_pusd, a.provider, coalesce(a.usage_json, ''),
               a.ceiling_price_id
        FROM attempt a INDEXED BY attempt_unsure LEFT JOIN job j ON j.id = a.job_id
        WHERE a.cost_basis = 'unknown' AND a.batch_id = ?1 ORDER BY a.id)sql"),
      unknown_count_(db, R"sql(
        SELECT count(*) FROM attempt INDEXED BY attempt_unsure
        WHERE cost_basis = 'unknown')sql"),
      start_worker_(db, R"sql(
        INSERT INTO worker (pid, version, started_at, seen_at) VALUES (?1, ?2, ?3, ?3))sql"),
      publish_worker_(db, R"sql(
        UPDATE worker SET answers = ?2, waits = ?3, seen_at = ?4 WHERE id = ?1)sql"),
      end_worker_(db, R"sql(
        UPDATE worker SET ended_at = ?2, seen_at = ?2, end_reason = 'clean'
        WHERE id = ?1)sql"),
      left_open_(db, "SELECT EXISTS (SELECT 1 FROM worker WHERE ended_at IS NULL)"),
      dead_workers_(db, R"sql(
        UPDATE worker SET ended_at = ?1, end_reason = 'crash', waits = ''
        WHERE ended_at IS NULL)sql"),
      // A life publishes its answers once a second, so the very last are looked for in the ledger.
      last_lives_(db, R"sql(
        SELECT w.end_reason, w.answers > 0 OR w.id IN (
          SELECT worker_id FROM
            (SELECT worker_id, outcome FROM attempt ORDER BY id DESC LIMIT 20000)
          WHERE outcome = 'answered')
        FROM worker w ORDER BY w.id DESC LIMIT 3)sql"),
      recent_(db, R"sql(
        SELECT opened_at, model, fresh_tokens + cache_write_tokens, output_tokens, request_bytes,
               max_output_tokens, cached_tokens
        FROM attempt ORDER BY id DESC LIMIT 200000)sql"),
      spending_(db, R"sql(
        SELECT b.tenant, a.opened_at,
               CASE WHEN a.settled_at IS NULL OR a.cost_basis = 'unknown'
                    THEN coalesce(a.ceiling_pusd, 0) ELSE coalesce(a.cost_pusd, 0) END
        FROM attempt a JOIN batch b ON b.id = a.batch_id
        ORDER BY a.id DESC)sql") {}

AttemptId Ledger::open(const NewAttempt& a) {
  CHECK(a.ceiling_pusd.has_value() == a.ceiling_price.has_value());
  const std::optional<std::string> waited_for =
      a.waited_for.empty() ? std::nullopt : std::optional(a.waited_for);
  CHECK(open_.change(a.job, a.batch, a.number, a.worker, a.route, a.provider, a.model,
                     a.model_asked, a.opened_at_ms, a.request_bytes, a.max_output_tokens,
                     a.ceiling_pusd, a.ceiling_price, waited_for, a.estimated_tokens) == 1);
  return {last_insert_id(db_)};
}

bool Ledger::settle(AttemptId id, const Settlement& s, std::int64_t now_ms) {
  const Usage usage = s.usage.value_or(Usage{});
  const auto tokens = [&](std::int64_t count) {
    return s.usage ? std::optional<std::int64_t>(count) : std::nullopt;
  };
  const auto word = [](const std::string& text) {
    return text.empty() ? std::optional<std::string>() : std::optional<std::string>(text);
  };
  const auto message = word(s.error_message);
  const auto request_id = word(s.provider_request_id);
  const auto returned = word(s.model_returned);
  const auto finish = word(s.finish_reason);
  const auto raw = word(s.usage_json);
  const auto tier = word(s.service_tier);
  return settle_.change(id, now_ms, s.outcome, message, s.http_status, request_id, returned, finish,
                        tokens(usage.fresh_tokens), tokens(usage.cached_tokens),
                        tokens(usage.cache_write_tokens), tokens(usage.output_tokens),
                        tokens(usage.reasoning_tokens), raw, s.price, s.cost_pusd, s.cost_basis,
                        s.first_byte_ms, s.total_ms, s.provider_ms, tier,
                        tokens(usage.cache_write_1h_tokens), s.reported_pusd) == 1;
}

std::optional<MoneyChange> Ledger::resolve(AttemptId id, const Word& word) {
  std::optional<std::int64_t> ceiling_pusd;
  if (Cursor row = money_of_.run(id); row.next()) ceiling_pusd = row.maybe_integer(0);
  const Usage usage = word.usage.value_or(Usage{});
  const auto tokens = [&](std::int64_t count) {
    return word.usage ? std::optional<std::int64_t>(count) : std::nullopt;
  };
  const std::optional<std::string> raw =
      word.usage_json.empty() ? std::nullopt : std::optional(word.usage_json);
  const int changed = resolve_.change(
      id, word.cost_basis, word.cost_pusd, tokens(usage.fresh_tokens), tokens(usage.cached_tokens),
      tokens(usage.cache_write_tokens), tokens(usage.output_tokens), tokens(usage.reasoning_tokens),
      tokens(usage.cache_write_1h_tokens), raw, word.price);
  if (changed == 0) return std::nullopt;
  return MoneyChange{word.cost_pusd, -ceiling_pusd.value_or(0)};
}

std::vector<OpenAttempt> Ledger::open_attempts() {
  std::vector<OpenAttempt> attempts;
  for (Cursor row = open_attempts_.run(); row.next();) {
    attempts.push_back({{row.integer(0)}, {row.integer(1)}, {row.integer(2)}});
  }
  return attempts;
}

std::int64_t Ledger::unknown_count() {
  Cursor row = unknown_count_.run();
  CHECK(row.next());
  return row.integer(0);
}

std::vector<UnknownAttempt> Ledger::unknown_attempts(BatchId batch) {
  std::vector<UnknownAttempt> attempts;
  for (Cursor row = unknown_attempts_.run(batch); row.next();) {
    UnknownAttempt& attempt = attempts.emplace_back();
    attempt.id = {row.integer(0)};
    attempt.batch = {row.integer(1)};
    attempt.number = row.small(2);
    attempt.item_key = row.text(3);
    attempt.model = row.text(4);
    attempt.outcome = row.text(5);
    attempt.opened_at_ms = row.integer(6);
    attempt.ceiling_pusd = row.maybe_integer(7);
    attempt.provider = row.text(8);
    attempt.usage_json = row.text(9);
    if (!row.is_null(10)) attempt.price = PriceId{row.integer(10)};
  }
  return attempts;
}

WorkerId Ledger::start_worker(int pid, const std::string& version, std::int64_t now_ms) {
  start_worker_.change(pid, version, now_ms);
  return {last_insert_id(db_)};
}

void Ledger::publish_worker(WorkerId id, std::int64_t answers, const std::string& waits,
                            std::int64_t now_ms) {
  CHECK(publish_worker_.change(id, answers, waits, now_ms) == 1);
}

void Ledger::end_worker(WorkerId id, std::int64_t now_ms) {
  CHECK(end_worker_.change(id, now_ms) == 1);
}

bool Ledger::was_left_open() {
  Cursor row = left_open_.run();
  CHECK(row.next());
  return row.integer(0) != 0;
}

int Ledger::end_dead_workers(std::int64_t now_ms) {
  dead_workers_.change(now_ms);
  int barren = 0;
  for (Cursor row = last_lives_.run(); row.next();) {
    if (row.text(0) != "crash" || row.integer(1) != 0) break;
    ++barren;
  }
  return barren;
}

std::vector<SentRow> Ledger::sent_since(const std::string& model, std::int64_t since_ms) {
  std::vector<SentRow> sent;
  for (Cursor row = recent_.run(); row.next();) {
    if (row.integer(0) < since_ms) break;
    if (row.text(1) != model) continue;
    // English has some four bytes a token; this is for limits, not for money.
    sent.push_back({row.integer(0), row.maybe_integer(2).value_or(row.integer(4) / 4),
                    row.maybe_integer(3).value_or(row.integer(5)),
                    row.maybe_integer(6).value_or(0)});
  }
  return sent;
}

std::vector<SpendingRow> Ledger::spending_since(std::int64_t since_ms) {
  std::map<std::pair<std::string, std::int64_t>, std::int64_t> sums;
  for (Cursor row = spending_.run(); row.next();) {
    const std::int64_t opened_at_ms = row.integer(1);
    if (opened_at_ms < since_ms - kClockStepMs) break;
    if (opened_at_ms < since_ms) continue;
    sums[{row.text(0), opened_at_ms - opened_at_ms % kDayMs}] += row.integer(2);
  }
  std::vector<SpendingRow> rows;
  for (const auto& [key, pusd] : sums) rows.push_back({key.first, key.second, pusd});
  return rows;
}

}  // namespace docmill
