// Reports over given requests: what-ifs, effective cost, other prices, a provider's own export.

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "config/config.h"
#include "report/pricing.h"
#include "report/reconcile.h"
#include "report/report_formats.h"
#include "report/what_if.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

constexpr std::int64_t kStartMs = 1'764'547'200'000;  // 2025-12-01T00:00Z

class GivenSource : public ReportSource {
 public:
  void each_counted(const TakeCountedJob& take_job,
                    const TakeCountedAttempt& take_attempt) override {
    for (const JobRow& job : jobs) take_job(job);
    each_attempt(take_attempt);
  }
  void each_attempt(const TakeAttempt& take) override {
    for (const AttemptRow& attempt : attempts) take(attempt);
  }
  void each_document(const TakeDocument& take) override {
    for (const JobRow& job : jobs) {
      std::vector<AttemptRow> own;
      for (const AttemptRow& attempt : attempts) {
        if (attempt.job.value == job.id.value) own.push_back(attempt);
      }
      take(job, own);
    }
  }

  // A document that one request answered.
  void add(const std::string& model, Usage usage, std::int64_t cost_pusd, std::int64_t total_ms) {
    JobRow job;
    job.id = {static_cast<std::int64_t>(jobs.size()) + 1};
    job.batch = "b";
    job.state = "done";
    job.model = model;
    job.at_ms = kStartMs;
    jobs.push_back(job);
    AttemptRow attempt;
    attempt.job = job.id;
    attempt.batch = "b";
    attempt.kind = "first";
    attempt.provider = "p";
    attempt.model = model;
    attempt.outcome = "answered";
    attempt.cost_basis = "usage";
    attempt.opened_at_ms = kStartMs + 1000 * static_cast<std::int64_t>(jobs.size());
    attempt.usage = usage;
    attempt.cost_pusd = cost_pusd;
    attempt.total_ms = total_ms;
    attempts.push_back(attempt);
  }

  std::vector<JobRow> jobs;
  std::vector<AttemptRow> attempts;
};

ModelPrice flat(std::int64_t rate) {
  return {rate, rate, rate, rate, rate};
}

std::string complaint(const std::string& csv) {
  try {
    parse_usage_csv(csv, "u.csv");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

std::optional<Price> two_and_eight(const UsageRecord& record) {
  if (record.model == "mystery") return std::nullopt;
  Price price = ModelPrice{2'000'000, 500'000, 2'000'000, 8'000'000};
  price.variants = {{"", 1000, "", flat(9'000'000)}, {"batch", 0, "", flat(1'000'000)}};
  return price;
}

}  // namespace

TEST_CASE("the source article's monthly table comes out of what-ifs over a small batch") {
  GivenSource source;
  for (int i = 0; i < 40; ++i) source.add("deepseek-v3.2", {400, 0, 0, 100}, 500 * 420'000, 127);
  CostReport report(source, {{GroupBy::batch},
                             {},
                             {{"gemini-2.5-flash", flat(2'500'000)},
                              {"gpt-4.1", flat(8'000'000)},
                              {"claude-sonnet-4.5", flat(15'000'000)}},
                             {}});
  const std::vector<WhatIfLine> lines = what_if_lines(report, 1'000'000);
  REQUIRE(lines.size() == 4);
  CHECK(exact_usd(*lines[0].month_pusd) == "210.00");
  CHECK(exact_usd(*lines[1].month_pusd) == "1250.00");
  CHECK(exact_usd(*lines[2].month_pusd) == "4000.00");
  CHECK(exact_usd(*lines[3].month_pusd) == "7500.00");
  CHECK(exact_usd(*lines[0].year_pusd) == "2520.00");  // not a month's, as the article has it
  CHECK(exact_usd(*lines[3].year_pusd) == "90000.00");
  CHECK(lines[3].cost_pusd == 40 * 500 * 15'000'000LL);
}

TEST_CASE("the pace of a what-if is that of the time covered") {
  GivenSource source;
  for (int i = 0; i < 3; ++i) source.add("m", {1, 0, 0, 0}, 1'000'000'000'000, 5);
  source.attempts[2].opened_at_ms = source.attempts[0].opened_at_ms + 24 * 3'600'000;
  CostReport report(source, {{GroupBy::batch}, {}, {{"n", flat(7)}}, {}});
  CHECK(exact_usd(*what_if_lines(report, {})[0].year_pusd) == "1095.00");
  CHECK(exact_usd(*what_if_lines(report, {})[0].month_pusd) == "91.25");
  CHECK(what_if_lines(report, {})[1].cost_pusd == 21);
  CostReport asked(source, {{GroupBy::batch}, {kStartMs, kStartMs + 10 * 86'400'000}, {}, {}});
  CHECK(exact_usd(*what_if_lines(asked, {})[0].year_pusd) == "109.50");
  source.attempts.resize(1);
  CostReport brief(source, {{GroupBy::batch}, {}, {}, {}});
  CHECK_FALSE(what_if_lines(brief, {})[0].year_pusd);
}

TEST_CASE("effective costs are the source article's") {
  GivenSource source;
  const auto add = [&](const std::string& model, std::int64_t rate, std::int64_t ms) {
    for (int i = 0; i < 10; ++i) source.add(model, {1'000'000, 0, 0, 0}, 1'000'000 * rate, ms);
  };
  add("deepseek-v3.2", 420'000, 127);
  add("gpt-4.1", 8'000'000, 234);
  add("claude-sonnet-4.5", 15'000'000, 298);
  CostReport report(source, {{GroupBy::model}, {}, {}, {}});
  std::vector<std::string> effective;
  report.each_row([&](const ReportRow& row) {
    effective.push_back(human_usd(*effective_pusd(row.figures, report.fastest_ms())));
  });
  CHECK(effective == std::vector<std::string>{"$4.20", "$147.40", "$351.97"});
}

TEST_CASE("rows of documents and requests add up to the totals, superseded texts included") {
  GivenSource source;
  source.add("m", {10, 0, 0, 1}, 11, 5);
  source.add("m", {20, 0, 0, 2}, 22, 7);
  source.add("n", {30, 0, 0, 3}, 33, 9);
  source.jobs[1].is_superseded = true;
  for (const GroupBy by : {GroupBy::job, GroupBy::attempt, GroupBy::model, GroupBy::day}) {
    CostReport report(source, {{by}, {}, {}, {}});
    std::int64_t cost_pusd = 0;
    std::int64_t jobs = 0;
    report.each_row([&](const ReportRow& row) {
      cost_pusd += row.figures.cost_pusd;
      jobs += row.figures.jobs;
    });
    CHECK(cost_pusd == 66);
    CHECK(report.totals().cost_pusd == 66);
    CHECK(report.totals().jobs == 2);
    CHECK(jobs == (by == GroupBy::attempt ? 0 : 2));
    CHECK(report.fastest_ms() == (by == GroupBy::day ? 7.0 : by == GroupBy::model ? 6.0 : 5.0));
  }
}

TEST_CASE("percentiles are by nearest rank") {
  Latencies latencies;
  CHECK_FALSE(latencies.percentile(50));
  for (const int ms : {15, 20, 35, 40, 50}) latencies.add(ms);
  CHECK(latencies.percentile(5) == 15);
  CHECK(latencies.percentile(30) == 20);
  CHECK(latencies.percentile(40) == 20);
  CHECK(latencies.percentile(50) == 35);
  CHECK(latencies.percentile(100) == 50);
  CHECK(latencies.average_ms() == 32.0);
}

TEST_CASE(
    "the past by another list of prices, each request by what was in force when it was sent") {
  GivenSource source;
  source.add("m", {10, 0, 0, 0}, 1, 5);
  source.add("m", {10, 0, 0, 0}, 1, 5);
  source.add("other", {10, 0, 0, 0}, 1, 5);
  source.add("m", {}, 0, 5);
  source.attempts[3].usage.reset();
  source.attempts[3].cost_basis = "unknown";
  source.attempts[3].cost_pusd.reset();
  source.attempts[3].ceiling_pusd = 77;
  source.attempts[1].opened_at_ms = kStartMs + 86'400'000;
  source.attempts[0].model_returned = "real-m";
  PriceFile file;
  file.prices = {{{}, "p", "real-m", 0, "import", "f", flat(2)},
                 {{}, "p", "m", 0, "import", "f", flat(3)},
                 {{}, "p", "m", kStartMs + 86'400'000, "import", "f", flat(5)}};
  const Config config;
  CostReport report(source, {{GroupBy::model}, {}, {}, reprice_by(file, config)});
  CHECK(report.totals().cost_pusd == 20 + 50);
  CHECK(report.totals().unpriced_requests == 1);
  CHECK(report.totals().possible_pusd == 77);  // no tokens, no other price
}

TEST_CASE("OpenAI's usage as its API gives it") {
  const UsageFile file = parse_usage_json(R"({"object":"page","data":[
    {"object":"bucket","start_time":1764547200,"end_time":1764633600,"results":[
      {"object":"organization.usage.completions.result","input_tokens":1000,"output_tokens":500,
       "input_cached_tokens":800,"num_model_requests":5,"model":"gpt-4.1-2025-04-14","batch":false},
      {"object":"organization.usage.completions.result","input_tokens":10,"output_tokens":1,
       "num_model_requests":1,"model":"gpt-4.1","batch":true,"input_cached_tokens":null}]},
    {"object":"bucket","start_time":1764633600,"end_time":1764720000,"results":[]}]})",
                                          "u.json");
  REQUIRE(file.records.size() == 2);
  CHECK(file.records[0].usage == Usage{200, 800, 0, 500});
  CHECK(file.records[0].requests == 5);
  CHECK(file.records[1].service_tier == "batch");
  CHECK(file.from_ms == kStartMs);
  CHECK(file.until_ms == kStartMs + 86'400'000);
  CHECK_THROWS_AS(parse_usage_json("[1,{\"data\":5}]", "u"), UsageError);
  CHECK_THROWS_WITH(
      parse_usage_json(R"({"data":[{"results":[{"input_tokens":1,"model":null}]}]})", "u.json"),
      "u.json: a result has no model; ask with group_by=model");
}

TEST_CASE("a CSV of usage, OpenAI's or anybody's") {
  const UsageFile openai = parse_usage_csv(
      "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,batch,"
      "input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
      "1764547200,1764547260,2025-12-01T00:00:00+00:00,2025-12-01T00:01:00+00:00,p,3.0,gpt-4.1,"
      "False,7162,20,1280,5882\n"
      "1764547260,1764547320,2025-12-01T00:01:00+00:00,2025-12-01T00:02:00+00:00,,,,,,,,\n",
      "u.csv");
  REQUIRE(openai.records.size() == 1);
  CHECK(openai.is_openai);
  CHECK(openai.records[0].usage == Usage{5882, 1280, 0, 20});
  CHECK(openai.records[0].requests == 3);
  CHECK(openai.records[0].until_ms == kStartMs + 60'000);
  const UsageFile other = parse_usage_csv(
      "\xef\xbb\xbf"
      "Date,Model,\"Prompt tokens\",Cached tokens,Completion tokens,Cost\r\n"
      "2025-12-01,\"a,b\",\"1,000\",2500,7,$0.25\r\n"
      "2025-12-02,c,5,,1,1.5e-05",
      "u.csv");
  REQUIRE(other.records.size() == 2);
  CHECK(other.records[0].model == "a,b");
  CHECK(other.records[0].usage == Usage{1000, 2500, 0, 7});  // cached tokens stand apart
  CHECK(other.records[0].cost_pusd == 250'000'000'000);
  CHECK(other.records[1].cost_pusd == 15'000'000);
  CHECK(complaint("a,b\n1,2\n").find("u.csv:1: the header must name") == 0);
  CHECK(complaint("model,input_tokens,output_tokens\nm,1,1\nm,-1,1\n") ==
        "u.csv:3: \"-1\" is no count");
  CHECK(complaint("model,input_tokens,output_tokens,date\nm,1,1,soon\n") ==
        "u.csv:2: \"soon\" is no time");
  CHECK(complaint("model,input_tokens,output_tokens\n,1,1\n") ==
        "u.csv:2: no model: group the export by model");
  CHECK(complaint("") == "u.csv: empty");
}

TEST_CASE("a provider's export makes a report of its own") {
  const UsageFile file = parse_usage_csv(
      "date,model,requests,input_tokens,cached_tokens,output_tokens,cost,batch\n"
      "2025-12-01,m,1,1001,1,10,,\n"
      "2025-12-01,m,10,5000,0,10,,\n"
      "2025-12-02,m,1,100,0,0,,true\n"
      "2025-12-02,mystery,4,100,0,0,0.5,\n",
      "u.csv");
  UsageSource source(file, two_and_eight);
  CostReport report(source, {{GroupBy::day}, {}, {}, {}});
  std::vector<std::int64_t> costs;
  report.each_row([&](const ReportRow& row) { costs.push_back(row.figures.cost_pusd); });
  // One request of that size goes by its size; a sum of ten may not.
  CHECK(costs == std::vector<std::int64_t>{1011 * 9'000'000LL + 5000 * 2'000'000LL + 80'000'000,
                                           100 * 1'000'000LL + 500'000'000'000});
  CHECK(report.totals().requests == 16);
  CHECK(report.totals().unpriced_requests == 0);  // what it says itself
  CHECK(report.totals().reported_pusd == 500'000'000'000);
}

TEST_CASE("more tokens than a request can have are still counted exactly") {
  const UsageFile file =
      parse_usage_csv("model,requests,input_tokens,output_tokens\nm,9,2500000000,1\n", "u.csv");
  UsageSource source(file, [](const UsageRecord&) { return Price(flat(3)); });
  CostReport report(source, {{GroupBy::model}, {}, {}, {}});
  CHECK(report.totals().cost_pusd == 3 * 2'500'000'001LL);
  CHECK(report.totals().requests == 9);
}

TEST_CASE("a gap between ledger and export is told by its parts, which add up") {
  GivenSource ledger;
  ledger.add("a", {100, 0, 0, 10}, 100 * 2'000'000 + 10 * 8'000'000, 5);
  ledger.add("a", {}, 0, 5);
  ledger.attempts[1].usage.reset();
  ledger.attempts[1].cost_pusd.reset();
  ledger.attempts[1].cost_basis = "unknown";
  ledger.attempts[1].ceiling_pusd = 400'000'000;
  ledger.add("gone", {50, 0, 0, 5}, 140'000'000, 5);
  ledger.add("late", {50, 0, 0, 5}, 1, 5);
  ledger.attempts[3].opened_at_ms = kStartMs + 2 * 86'400'000;  // not of the file's time
  const UsageFile file = parse_usage_csv(
      "start_time,end_time,model,requests,input_tokens,output_tokens,cost\n"
      "1764547200,1764633600,vendor/a-2025-04-14,2,200,20,0.0007\n"
      "1764547200,1764633600,stranger,1,10,1,\n",
      "u.csv");
  const Reconciliation made = reconcile(ledger, file, two_and_eight,
                                        [](const AttemptRow& attempt) { return attempt.model; });
  REQUIRE(made.models.size() == 3);
  const Reconciled& a = made.models[0];
  CHECK(a.ledger_requests == 2);
  CHECK(a.file_requests == 2);
  CHECK(a.gap_pusd() == 700'000'000 - 280'000'000);
  CHECK(a.by_tokens_pusd() == 280'000'000);
  CHECK(a.by_price_pusd() == 140'000'000);
  CHECK(a.unknown_requests == 1);
  CHECK(made.models[1].gap_pusd() == -140'000'000);
  CHECK(made.models[2].gap_pusd() == 28'000'000);
  CHECK(made.total.gap_pusd() == 420'000'000 - 140'000'000 + 28'000'000);
  const std::string text = reconciliation_text(made, {});
  CHECK(text.find("1 requests without an answer can be up to $0.000400 of it") !=
        std::string::npos);
  CHECK(text.find("gone: 1 requests that are not in the file") != std::string::npos);
  CHECK(text.find("stranger: 1 requests that this ledger does not know") != std::string::npos);
  const auto parsed = nlohmann::json::parse(reconciliation_json(made));
  CHECK(parsed.at("totals").at("gap_usd") == "0.000308");
}

TEST_CASE("another currency is for the eye") {
  const Currency euro{"EUR", 0.92};
  CHECK(euro.text(18'241'300'000'000) == "EUR 16.78");
  CHECK(euro.text(1'464'000'000) == "EUR 0.0013");
  CHECK(euro.column(0) == "EUR 0.0000");
  CHECK(Currency{}.text(18'241'300'000'000) == "$18.24");
  GivenSource source;
  source.add("m", {1, 0, 0, 1}, 1'000'000'000'000, 5);
  CostReport report(source, {{GroupBy::model}, {}, {}, {}});
  std::string table, json;
  write_table(report, {{"b"}, euro, {}}, [&](std::string_view text) { table += text; });
  write_json(report, {{"b"}, euro, {}}, [&](std::string_view text) { json += text; });
  CHECK(table.find("EUR 0.9200") != std::string::npos);
  CHECK(table.find("EUR at 0.92 per USD; the ledger is in USD") != std::string::npos);
  CHECK(json.find("\"cost_usd\":\"1.00\"") != std::string::npos);
}
