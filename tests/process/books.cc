#include "tests/process/books.h"

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "simulate/answer.h"

namespace docmill::process_test {
namespace {

constexpr int kBusyTimeoutMs = 10'000;

struct LedgerRow {
  std::string model_asked;
  std::string outcome;
  std::string cost_basis;  // "": open
  std::int64_t cost_pusd = 0;
  std::int64_t ceiling_pusd = 0;
  std::int64_t fresh_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t output_tokens = 0;
};

std::map<std::int64_t, LedgerRow> ledger_of(StoreView& store) {
  std::map<std::int64_t, LedgerRow> ledger;
  SQLite::Statement row(store.connection(), R"sql(
      SELECT id, model_asked, coalesce(outcome, ''), coalesce(cost_basis, ''),
             coalesce(cost_pusd, 0), coalesce(ceiling_pusd, 0), coalesce(fresh_tokens, 0),
             coalesce(cached_tokens, 0), coalesce(output_tokens, 0) FROM attempt)sql");
  while (row.executeStep()) {
    ledger[row.getColumn(0).getInt64()] = {
        row.getColumn(1).getString(), row.getColumn(2).getString(), row.getColumn(3).getString(),
        row.getColumn(4).getInt64(),  row.getColumn(5).getInt64(),  row.getColumn(6).getInt64(),
        row.getColumn(7).getInt64(),  row.getColumn(8).getInt64()};
  }
  return ledger;
}

// What a client that waits long enough reads a whole answer from.
bool is_answer(const std::string& fate) {
  return fate == "answer" || fate == "trickle" || fate == "blank_then_answer" || fate == "no_usage";
}

// The row of a request that the provider logged.
Breaches breaches_of_row(const LogLine& line, const LedgerRow& row, std::int64_t billed) {
  Breaches found;
  const auto breach = [&](const std::string& what) {
    found.push_back(
        fmt::format("attempt {} ({}, {}): {}", line.attempt, line.fate, row.outcome, what));
  };
  if (row.model_asked != line.model) breach("the ledger names another model");
  if (row.outcome == "answered" && !is_answer(line.fate)) breach("answered, says the ledger");
  if (row.cost_basis == "usage") {
    if (row.cost_pusd != billed) {
      breach(fmt::format("costs {} pico-USD, was billed {}", row.cost_pusd, billed));
    }
    if (row.fresh_tokens + row.cached_tokens != line.prompt_tokens ||
        row.cached_tokens != line.cached_tokens || row.output_tokens != line.completion_tokens) {
      breach("its tokens are not the provider's");
    }
  } else if (row.cost_basis == "zero") {
    if (billed != 0) breach(fmt::format("not billed, says the ledger, but it was: {}", billed));
  } else if (row.cost_basis == "unknown" || row.cost_basis.empty()) {
    if (billed > row.ceiling_pusd) {
      breach(fmt::format("was billed {}, above its ceiling {}", billed, row.ceiling_pusd));
    }
  } else {
    breach("its cost basis is " + row.cost_basis);
  }
  return found;
}

void append(Breaches& all, const Breaches& more) {
  all.insert(all.end(), more.begin(), more.end());
}

// A broken promise is seldom broken once, and a few examples say more than a thousand.
Breaches first_of(Breaches all) {
  constexpr std::size_t kShown = 10;
  if (all.size() <= kShown) return all;
  const std::string more = fmt::format("and {} more", all.size() - kShown);
  all.resize(kShown);
  all.push_back(more);
  return all;
}

}  // namespace

StoreView::StoreView(const std::filesystem::path& file)
    : connection_(file.string(), SQLite::OPEN_READONLY, kBusyTimeoutMs) {}

std::int64_t StoreView::number(const std::string& sql) {
  return connection_.execAndGet(sql).getInt64();
}

std::string StoreView::text(const std::string& sql) {
  return connection_.execAndGet(sql).getString();
}

std::vector<std::vector<std::string>> StoreView::rows(const std::string& sql) {
  std::vector<std::vector<std::string>> all;
  SQLite::Statement statement(connection_, sql);
  while (statement.executeStep()) {
    std::vector<std::string>& row = all.emplace_back();
    for (int i = 0; i < statement.getColumnCount(); ++i) {
      row.push_back(statement.getColumn(i).getString());
    }
  }
  return all;
}

std::int64_t billed_pusd(const LogLine& line, const PriceList& prices) {
  if (line.prompt_tokens == 0 && line.completion_tokens == 0) return 0;
  const TokenPrice& price = prices.at(line.model);
  return (line.prompt_tokens - line.cached_tokens) * price.input_pusd +
         line.cached_tokens * price.cached_input_pusd + line.completion_tokens * price.output_pusd;
}

std::int64_t bill_pusd(const std::vector<LogLine>& log, const PriceList& prices) {
  std::int64_t sum = 0;
  for (const LogLine& line : log) sum += billed_pusd(line, prices);
  return sum;
}

Breaches breaches_of_results(StoreView& store, const std::string& batch,
                             const std::vector<Text>& texts) {
  std::map<std::string, std::string> text_of;
  for (const Text& text : texts) text_of[text.id] = text.text;
  const std::string system =
      nlohmann::json::parse(store.text("SELECT spec FROM batch WHERE name = '" + batch + "'"))
          .at("system")
          .get<std::string>();
  Breaches found;
  std::set<std::string> seen;
  for (const auto& row : store.rows(fmt::format(R"sql(
           SELECT j.item_key, j.state, count(o.job_id), coalesce(min(o.body), '')
           FROM job j LEFT JOIN job_output o ON o.job_id = j.id
           WHERE j.batch_id = (SELECT id FROM batch WHERE name = '{}') GROUP BY j.id)sql",
                                                batch))) {
    const std::string& id = row[0];
    if (!seen.insert(id).second) found.push_back(id + " is there twice");
    if (!text_of.contains(id)) {
      found.push_back(id + " was never submitted");
    } else if (row[1] != "done" || row[2] != "1") {
      found.push_back(fmt::format("{} is {} with {} outputs", id, row[1], row[2]));
    } else if (row[3] != simulated_answer(system, text_of[id])) {
      found.push_back(id + " has an answer that is not its own");
    }
  }
  for (const Text& text : texts) {
    if (!seen.contains(text.id)) found.push_back(text.id + " is lost");
  }
  return first_of(std::move(found));
}

Breaches breaches_of_ledger(StoreView& store, const std::vector<LogLine>& log) {
  Breaches found;
  const std::map<std::int64_t, LedgerRow> ledger = ledger_of(store);
  std::set<std::int64_t> seen;
  for (const LogLine& line : log) {
    if (!ledger.contains(line.attempt)) {
      found.push_back(fmt::format("a request without a row: attempt {}", line.attempt));
    }
    if (!seen.insert(line.attempt).second) {
      found.push_back(fmt::format("attempt {} was sent twice", line.attempt));
    }
  }
  for (const auto& [id, row] : ledger) {
    if (row.outcome == "answered" && !seen.contains(id)) {
      found.push_back(fmt::format("attempt {} was answered and never sent", id));
    }
  }
  for (const auto& row : store.rows(R"sql(
           SELECT job_id, count(*), min(number), max(number) FROM attempt GROUP BY job_id
           HAVING min(number) != 1 OR max(number) != count(*))sql")) {
    found.push_back(
        fmt::format("job {} has {} attempts, numbered {} to {}", row[0], row[1], row[2], row[3]));
  }
  for (const auto& row : store.rows(R"sql(
           SELECT j.id, j.state, count(a.id) FROM job j
           LEFT JOIN attempt a ON a.job_id = j.id AND a.settled_at IS NULL
           GROUP BY j.id HAVING count(a.id) != (j.state = 'running'))sql")) {
    found.push_back(fmt::format("job {} is {} with {} open attempts", row[0], row[1], row[2]));
  }
  for (const auto& row : store.rows(R"sql(
           SELECT j.id, j.requests, count(a.id) FROM job j LEFT JOIN attempt a ON a.job_id = j.id
           GROUP BY j.id HAVING count(a.id) != j.requests)sql")) {
    found.push_back(fmt::format("job {} counts {} requests of {}", row[0], row[1], row[2]));
  }
  for (const auto& row : store.rows(R"sql(
           SELECT o.job_id FROM job_output o LEFT JOIN attempt a
             ON a.id = o.attempt_id AND a.job_id = o.job_id AND a.outcome = 'answered'
           WHERE a.id IS NULL)sql")) {
    found.push_back(fmt::format("the output of job {} has no attempt that answered it", row[0]));
  }
  return first_of(std::move(found));
}

Breaches breaches_of_money(StoreView& store, const std::vector<LogLine>& log,
                           const PriceList& prices) {
  Breaches found;
  const std::map<std::int64_t, LedgerRow> ledger = ledger_of(store);
  for (const LogLine& line : log) {
    const auto row = ledger.find(line.attempt);
    if (row == ledger.end()) continue;  // breaches_of_ledger() says so
    append(found, breaches_of_row(line, row->second, billed_pusd(line, prices)));
  }
  std::int64_t measured = 0;
  std::int64_t possible = 0;
  for (const auto& [id, row] : ledger) {
    measured += row.cost_pusd;
    if (row.cost_basis == "unknown" || row.cost_basis.empty()) possible += row.ceiling_pusd;
  }
  const std::int64_t bill = bill_pusd(log, prices);
  if (measured > bill || bill > measured + possible) {
    found.push_back(
        fmt::format("measured {}, possible {} more, but the bill is {}", measured, possible, bill));
  }
  for (const auto& row : store.rows(R"sql(
           SELECT b.name, b.spent_pusd, b.reserved_pusd, coalesce(sum(a.cost_pusd), 0) AS spent,
                  coalesce(sum(iif(a.settled_at IS NULL OR a.cost_basis = 'unknown',
                                   a.ceiling_pusd, 0)), 0) AS reserved
           FROM batch b LEFT JOIN attempt a ON a.batch_id = b.id GROUP BY b.id
           HAVING b.spent_pusd != spent OR b.reserved_pusd != reserved)sql")) {
    found.push_back(fmt::format("{} says {} spent and {} reserved, its rows {} and {}", row[0],
                                row[1], row[2], row[3], row[4]));
  }
  return first_of(std::move(found));
}

}  // namespace docmill::process_test
