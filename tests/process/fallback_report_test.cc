// A chain whose first model is down, and what the report makes of it: every figure can be had in
// three ways, and they agree to the last digit.

#include <fmt/format.h>

#include <sstream>

#include "base/money.h"
#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;

constexpr const char* kBadThenGood = R"toml(
[worker]
in_flight = 8
max_tries = 2
retry_base = "10ms"
retry_cap = "20ms"
breaker_failures = {}
breaker_cooldown = "10m"
[defaults]
chain = ["bad", "good"]
[providers.sim]
base_url = "@URL@"
[models.bad]
provider = "sim"
name = "m+500"
input = 3
output = 15
[models.good]
provider = "sim"
name = "m"
input = 0.42
cached_input = 0.042
output = 0.84
)toml";

const PriceList kPricesOfBoth = {{"m+500", {3'000'000, 3'000'000, 15'000'000}},
                                 {"m", {420'000, 42'000, 840'000}}};

using CsvRow = std::map<std::string, std::string>;

// No cell of these reports needs quotes.
std::vector<CsvRow> csv_rows(const std::string& csv) {
  REQUIRE(csv.find('"') == std::string::npos);
  std::vector<std::string> names;
  std::vector<CsvRow> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    line += ',';
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string cell; std::getline(parts, cell, ',');) cells.push_back(cell);
    if (names.empty()) {
      names = cells;
      continue;
    }
    REQUIRE(cells.size() == names.size());
    CsvRow& row = rows.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = cells[i];
  }
  return rows;
}

// A count, or money in pico-USD.
std::int64_t figure(const std::string& name, const std::string& cell) {
  return name.ends_with("_usd") ? parse_usd(cell).value() : std::stoll(cell);
}

std::int64_t figure(const json& row, const std::string& name) {
  const json& value = row.at(name);
  return value.is_string() ? parse_usd(value.get<std::string>()).value()
                           : value.get<std::int64_t>();
}

std::int64_t sum_of(const std::vector<CsvRow>& rows, const std::string& name) {
  std::int64_t sum = 0;
  for (const CsvRow& row : rows) sum += figure(name, row.at(name));
  return sum;
}

constexpr const char* kRequestFigures[] = {
    "requests",           "retries",       "fallbacks",        "input_tokens", "cached_tokens",
    "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_usd",     "possible_usd",
    "unpriced_requests"};

}  // namespace

TEST_CASE_METHOD(MillTest, "a dead first model is fallen back from, and the report adds up",
                 "[process]") {
  simulate("--cached 0.3 --latency 5ms");
  configure(fmt::format(kBadThenGood, 1000));
  const std::vector<Text> texts = write_texts("docs.jsonl", 60);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  REQUIRE(docmill("work --drain").code == 0);

  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  CHECK(breaches_of_money(store, sent(), kPricesOfBoth) == Breaches());
  const auto kinds = store.rows(
      "SELECT number, model, kind, outcome, count(*) FROM attempt GROUP BY 1, 2, 3, 4 ORDER BY 1");
  CHECK(kinds ==
        std::vector<std::vector<std::string>>{{"1", "bad", "first", "server_error", "60"},
                                              {"2", "bad", "retry", "server_error", "60"},
                                              {"3", "good", "fallback", "answered", "60"}});

  const json by_model = docmill("report b --by model --format json").json();
  REQUIRE(by_model.at("rows").size() == 2);
  for (const json& row : by_model.at("rows")) {
    const bool is_good = row.at("model") == "good";
    CHECK(figure(row, "requests") == (is_good ? 60 : 120));
    CHECK(figure(row, "retries") == (is_good ? 0 : 60));
    CHECK(figure(row, "fallbacks") == (is_good ? 60 : 0));
    CHECK(figure(row, "jobs") == (is_good ? 60 : 0));
    CHECK(figure(row, "done") == (is_good ? 60 : 0));
    CHECK(figure(row, "cost_usd") == (is_good ? bill_pusd(sent(), kPricesOfBoth) : 0));
  }
  const json& totals = by_model.at("totals");
  CHECK(totals.at("fallback_rate") == 1.0);
  CHECK(figure(totals, "failed") == 0);

  const auto attempts = csv_rows(docmill("report b --by attempt --format csv").out);
  const auto jobs = csv_rows(docmill("report b --by job --format csv").out);
  const auto batches = csv_rows(docmill("report --format csv").out);
  CHECK(attempts.size() == 180);
  CHECK(jobs.size() == 60);
  CHECK(batches.size() == 1);
  for (const char* name : kRequestFigures) {
    CAPTURE(name);
    std::int64_t sum_of_models = 0;
    for (const json& row : by_model.at("rows")) sum_of_models += figure(row, name);
    CHECK(figure(totals, name) == sum_of_models);
    CHECK(figure(totals, name) == sum_of(attempts, name));
    CHECK(figure(totals, name) == sum_of(jobs, name));
    CHECK(figure(totals, name) == sum_of(batches, name));
  }

  std::int64_t results_pusd = 0;
  for (const json& line : docmill("results b").lines()) {
    CHECK(line.at("fallback") == true);
    CHECK(line.at("attempts") == 3);
    CHECK(line.at("model") == "good");
    results_pusd += parse_usd(line.at("cost_usd").get<std::string>()).value();
  }
  CHECK(results_pusd == bill_pusd(sent(), kPricesOfBoth));
}

TEST_CASE_METHOD(MillTest, "a model that keeps failing is passed over without being asked",
                 "[process]") {
  simulate("--latency 5ms");
  configure(fmt::format(kBadThenGood, 5));
  const std::vector<Text> texts = write_texts("docs.jsonl", 200);

  CHECK(docmill("run summarise docs.jsonl --batch b").code == 0);

  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  const std::int64_t asked = store.number("SELECT count(*) FROM attempt WHERE model = 'bad'");
  CHECK(asked >= 5);
  CHECK(asked <= 5 + 8);  // and what was in flight by then
  CHECK(breaches_of_money(store, sent(), kPricesOfBoth) == Breaches());
}

// An answer that was lost may have been paid for: once more on that model, and then the next.
TEST_CASE_METHOD(MillTest, "a failure that may be billed is retried once and then falls back",
                 "[process]") {
  simulate("");
  std::string config = fmt::format(kBadThenGood, 1000);
  config.replace(config.find("m+500"), 5, "m+reset");
  config.replace(config.find("max_tries = 2"), 13, "max_tries = 9");
  configure(config);
  write_texts("docs.jsonl", 20);

  CHECK(docmill("run summarise docs.jsonl --batch b").code == 0);

  StoreView store(store_file);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE model = 'bad'") == 40);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'") == 40);
  PriceList prices = kPricesOfBoth;
  prices["m+reset"] = prices["m+500"];
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  CHECK(breaches_of_money(store, sent(), prices) == Breaches());

  CHECK(docmill("settle b --all --zero").code == 0);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'") == 0);
  CHECK(store.number("SELECT reserved_pusd FROM batch") == 0);
}

// The worker once could not start: both prices were written under the provider's name for it.
TEST_CASE_METHOD(MillTest, "two prices of one model are kept apart", "[process]") {
  simulate("");
  configure(R"toml(
[providers.sim]
base_url = "@URL@"
[models.usual]
provider = "sim"
name = "m"
input = 1
output = 3
[models.flex]
provider = "sim"
name = "m"
input = 0.5
output = 1.5
)toml");
  write("a.txt", "A text.");

  REQUIRE(docmill("run summarise a.txt --batch u --models usual").code == 0);
  CHECK(docmill("run summarise a.txt --batch f --models flex").code == 0);
  CHECK(docmill("run summarise a.txt --batch v --models usual --instructions .").code == 0);

  StoreView store(store_file);
  CHECK(store.number("SELECT count(*) FROM price") == 2);
  const std::int64_t usual = store.number("SELECT cost_pusd FROM attempt WHERE model = 'usual'");
  CHECK(usual == bill_pusd({sent().front()}, {{"m", {1'000'000, 1'000'000, 3'000'000}}}));
  CHECK(store.number("SELECT cost_pusd FROM attempt WHERE model = 'flex'") * 2 == usual);
}

TEST_CASE_METHOD(MillTest, "a report of the last whole day, week or month", "[process]") {
  simulate("");
  configure(
      "[providers.sim]\nbase_url = \"@URL@\"\n"
      "[models.m]\nprovider = \"sim\"\ninput = 1\noutput = 1\n");
  write_texts("docs.jsonl", 3);
  REQUIRE(docmill("run summarise docs.jsonl --batch b -o out.jsonl").code == 0);
  StoreView store(store_file);
  const auto requests = [&](const std::string& last) {
    return docmill("report --format json --last " + last).json().at("totals").at("requests");
  };
  CHECK(requests("day") == 0);  // today is not over
  // Into the last hour of yesterday, and the first of the Monday and the month before.
  const std::string today = "(strftime('%s', 'now') / 86400 * 86400 * 1000)";
  const std::string week =
      "(strftime('%s', 'now', '-6 days', 'weekday 1', '-7 days') / 86400 * "
      "86400 * 1000)";
  const std::string month = "(strftime('%s', 'now', 'start of month', '-1 months') * 1000)";
  for (const auto& [last, since] :
       {std::pair{std::string("day"), today + " - 1"}, std::pair{std::string("week"), week},
        std::pair{std::string("month"), month}}) {
    INFO(last);
    SQLite::Database db(store_file.string(), SQLite::OPEN_READWRITE);
    db.exec("UPDATE attempt SET opened_at = " + since + ", settled_at = opened_at + 5");
    CHECK(requests(last) == 3);
    db.exec("UPDATE attempt SET opened_at = " + since + (last == "day" ? " + 1" : " - 1"));
    CHECK(requests(last) == 0);
  }
  CHECK(docmill("report --last year").code == 2);
  CHECK(docmill("report --last day --since 2026-01-01").code == 2);
}

}  // namespace docmill::process_test
