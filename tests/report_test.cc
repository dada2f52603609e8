#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "report/report_formats.h"
#include "report/results.h"
#include "report/status.h"
#include "report/table.h"
#include "tasks/new_job.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;
namespace fs = std::filesystem;

namespace {

// Four documents: one answered at once, one after a 503, one by the second model after a cut and
// another, one refused by both.
class ReportTest : public WorkerTest {
 public:
  ReportTest() {
    options.in_flight = 1;
    options.policy.retry_base_ms = 0;
    net.latency_ms = 200;
    net.script("large", {200, 503, 200, -1, -1, 400});
    submit({"one", "two", "three", "=cmd()"});
    run_until_idle();
  }

  // The report with its rows, as a value.
  struct Made {
    std::vector<ReportRow> rows;
    Figures totals;
    std::string table, csv, json;
  };
  Made report(const std::string& by, std::vector<WhatIf> what_ifs = {}) {
    SqliteCommit commit;
    Database db(store, Access::read_only, commit);
    LedgerSource source(db, {batch()});
    CostReport report(source, {parse_groups(by), {}, std::move(what_ifs), {}});
    Made made;
    report.each_row([&](const ReportRow& row) { made.rows.push_back(row); });
    made.totals = report.totals();
    const ReportShow show{{"b"}, {}, 1000};
    write_table(report, show, [&](std::string_view text) { made.table += text; });
    write_csv(report, [&](std::string_view text) { made.csv += text; });
    write_json(report, show, [&](std::string_view text) { made.json += text; });
    return made;
  }

  std::vector<ResultRow> results() {
    SqliteCommit commit;
    Database db(store, Access::read_only, commit);
    StoreReader reader(db);
    std::vector<ResultRow> rows;
    reader.each_result(batch().id, "", [&](const ResultRow& row) { rows.push_back(row); });
    return rows;
  }
};

}  // namespace

TEST_CASE_METHOD(ReportTest, "a report counts a document once, whatever became of it") {
  const auto again = [&](const std::string& id, const std::string& text,
                         std::optional<JobId> reuses = {}) {
    SqliteCommit commit;
    Database db(store, Access::read_write, commit);
    Document document;
    document.id = id;
    document.source = "test";
    document.text = text;
    NewJob job = new_job(std::move(document), 0, 0);
    job.reuses = reuses;
    job.saved_pusd = reuses ? 7 : 0;
    JobQueue queue(db, clock, options.policy);
    queue.add_in_transaction(batch().id, std::vector<NewJob>{job});
  };
  again("d1", "one, changed");  // and both were sent
  run_until_idle();
  again("d2", "two, changed");  // never sent
  again("d5", "five", JobId{2});
  CHECK(report_disagreement(store) == "");
  const Figures totals = report("model").totals;
  CHECK(totals.jobs == 5);
  CHECK(totals.sent_jobs == 3);
  CHECK(totals.reused == 1);
  CHECK(totals.requests == static_cast<std::int64_t>(net.sent.size()));
  CHECK(totals.cost_pusd == batch().spent_pusd);
  std::int64_t jobs = 0, sent = 0;
  for (const ReportRow& row : report("model").rows) {
    jobs += row.figures.jobs;
    sent += row.keys[0] == "none" ? 0 : row.figures.jobs;
  }
  CHECK(jobs == 5);
  CHECK(sent == 3);
}

TEST_CASE_METHOD(ReportTest, "a report by model says who answered what, and what it cost") {
  const std::string table = report("model").table;
  CHECK(table.substr(0, table.find("\n")).find("b  4 documents: 3 done, 1 failed   ") == 0);
  CHECK(
      table.substr(table.find("\n") + 1) ==
      "MODEL  DONE  FAILED  REQUESTS  RETRIES  FALLBACKS  TOKENS IN  CACHED  TOKENS OUT     COST"
      "     p95\n"
      "large     2       1         6        2          0         20       -          10  $0.0000"
      "  200 ms\n"
      "small     1       0         1        0          1         10       -           5  $0.0000"
      "  200 ms\n"
      "total     3       1         7        2          1         30       -          15  $0.0000"
      "  200 ms\n"
      "possible $0.0000 more: 2 requests whose cost is not known (docmill settle b)   unpriced 0   "
      "reused 0\n"
      "a document $0.000000   fell back 25.00 % of 4 sent\n"
      "rounded here; every digit: --format csv\n");
}

TEST_CASE_METHOD(ReportTest, "every grouping has the same sum, which is the batch's") {
  for (const char* by : {"batch", "model", "provider", "route", "task", "tenant", "day", "week",
                         "month", "job", "attempt", "model,day"}) {
    INFO(by);
    const Made made = report(by);
    std::int64_t cost_pusd = 0;
    std::int64_t requests = 0;
    std::int64_t possible_pusd = 0;
    for (const ReportRow& row : made.rows) {
      cost_pusd += row.figures.cost_pusd;
      requests += row.figures.requests;
      possible_pusd += row.figures.possible_pusd;
    }
    CHECK(cost_pusd == batch().spent_pusd);
    CHECK(possible_pusd == batch().reserved_pusd);
    CHECK(requests == 7);
    CHECK(made.totals.cost_pusd == cost_pusd);
  }
  CHECK_THROWS_WITH(parse_groups("modell"),
                    "--by: unknown group \"modell\"; did you mean \"model\"?");
}

TEST_CASE_METHOD(ReportTest, "the CSV has the groups' columns, then the figures, and no total") {
  const std::string csv = report("model").csv;
  CHECK(csv.substr(0, csv.find("\r\n")) ==
        "model,jobs,done,failed,requests,retries,fallbacks,fallback_rate,input_tokens,"
        "cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,cost_usd,possible_usd,"
        "unpriced_requests,avg_cost_usd,p50_ms,p95_ms,p99_ms,avg_ms,tokens_per_s,"
        "effective_cost_usd,reused,saved_usd");
  CHECK(csv.find("\r\nlarge,3,2,1,6,2,0,0.000000,20,0,0,10,0,0.0000000003,") != std::string::npos);
  CHECK(csv.find("total") == std::string::npos);
}

TEST_CASE_METHOD(ReportTest, "the JSON report has rows and totals, money as text") {
  const auto parsed = nlohmann::json::parse(report("model").json);
  CHECK(parsed.at("rows").size() == 2);
  CHECK(parsed.at("rows")[0].at("model") == "large");
  CHECK(parsed.at("totals").at("cost_usd") == "0.000000000315");
  CHECK(parsed.at("totals").at("requests") == 7);
}

TEST_CASE_METHOD(ReportTest, "a result line has every field, and says what went wrong") {
  const auto rows = results();
  REQUIRE(rows.size() == 4);
  const auto done = nlohmann::ordered_json::parse(result_line(rows[2], false));
  std::string fields;
  for (const auto& [key, value] : done.items()) fields += key + " ";
  CHECK(fields ==
        "id source state output model finish_reason route fallback reused usage cost_usd "
        "possible_usd attempts extra error ");
  CHECK(done.at("output") == "answer to three");
  CHECK(done.at("model") == "small");
  CHECK(done.at("fallback") == true);
  CHECK(done.at("attempts") == 3);
  CHECK(done.at("cost_usd") == "0.000000000015");
  CHECK(done.at("usage").at("input_tokens") == 10);
  CHECK(done.at("error").is_null());
  const auto failed = nlohmann::json::parse(result_line(rows[3], false));
  CHECK(failed.at("state") == "failed");
  CHECK(failed.at("output").is_null());
  CHECK(failed.at("error").at("class") == "bad_request");
}

TEST_CASE("an extraction's output is the JSON value, not its text") {
  ResultRow row;
  row.item_key = "d";
  row.state = "done";
  row.output = "{\"total\":1.5}";
  CHECK(nlohmann::json::parse(result_line(row, true)).at("output").at("total") == 1.5);
  row.is_unpriced = true;
  CHECK(nlohmann::json::parse(result_line(row, true)).at("cost_usd").is_null());
}

TEST_CASE("results go into files that mirror the ids, and never out of their folder") {
  ResultFolder folder("out", false, false);
  for (const char* id : {"docs/a.md", "docs/sub/b.txt", "docs/GPL-2"}) folder.see(id);
  CHECK(folder.path_of("docs/a.md") == "a.md");
  CHECK(folder.path_of("docs/sub/b.txt") == "sub/b.txt");
  CHECK(folder.path_of("docs/GPL-2") == "GPL-2.md");

  // "notes" once overwrote the result of "notes.md".
  ResultFolder close("out", false, false);
  const std::vector<std::string> ids = {"notes", "notes.md", "c.txt", "c.txt/d", "a/b", "a//b"};
  for (const std::string& id : ids) close.see(id);
  std::set<fs::path> paths;
  for (const std::string& id : ids) paths.insert(close.path_of(id));
  CHECK(paths.size() == ids.size());
  CHECK(close.path_of("c.txt/d") == "c.txt/d.md");
  CHECK(close.path_of("c.txt") != "c.txt");

  ResultFolder hostile("out", true, false);
  for (const char* id : {"x", "y"}) hostile.see(id);
  CHECK(hostile.path_of("../../etc/passwd") == "%2E./%2E./etc/passwd.json");
  CHECK(hostile.path_of("/etc/passwd") == "etc/passwd.json");
  CHECK(hostile.path_of("a\nb:c") == "a%0Ab%3Ac.json");
  CHECK(hostile.path_of("-rf") == "%2Drf.json");
  CHECK(hostile.path_of("///") == "%.json");
  CHECK(hostile.path_of(std::string(500, 'n')).filename().string().size() < 220);
}

TEST_CASE("a file that docmill did not write is not replaced without --force") {
  const Scratch scratch;
  ResultRow row;
  row.item_key = "a.md";
  row.state = "done";
  row.output = "summary";
  std::ofstream(scratch.path / "a.md") << "precious";
  ResultFolder careful(scratch.path, false, false);
  careful.see("a.md");
  CHECK_THROWS_AS(careful.write(row), UsageError);
  CHECK(read_file(scratch.path / "a.md", 100) == "precious");
  ResultFolder forced(scratch.path, false, true);
  forced.see("a.md");
  forced.write(row);
  CHECK(read_file(scratch.path / "a.md", 100) == "summary\n");
  forced.write(row);
  CHECK(forced.written().written == 1);
  CHECK(forced.written().unchanged == 1);

  fs::create_symlink(scratch.path / "a.md", scratch.path / "b.md");
  row.item_key = "b.md";
  CHECK_THROWS_AS(forced.write(row), UsageError);
}

TEST_CASE("a cell that a spreadsheet would run is made harmless, numbers are not touched") {
  CHECK(csv_record({{"=1+1"}, {"-5", true}, {"a,b"}, {"say \"hi\""}, {"two\nlines"}}) ==
        "'=1+1,-5,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n");
}

TEST_CASE("a table is as wide as its cells, whatever they are made of") {
  Table table({"NAME", ">N"});
  table.add({"a", "1"});
  table.add({"b\x1b[31m", "1,000"});
  CHECK(table.text() ==
        "NAME           N\n"
        "a              1\n"
        "b\\x1b[31m  1,000\n");
}

TEST_CASE_METHOD(ReportTest, "status says the state, the sums, and the reasons") {
  SqliteCommit commit;
  Database db(store, Access::read_only, commit);
  StoreReader reader(db);
  const StoreStatus status = read_status(reader, store, "", clock.now);
  REQUIRE(status.batches.size() == 1);
  const BatchStatus& b = status.batches.front();
  CHECK(b.state == "finished");
  CHECK(exit_code_of(b) == 1);
  const auto parsed = nlohmann::json::parse(status_json(status));
  CHECK(parsed.at("worker").is_null());
  const auto& json = parsed.at("batches").at(0);
  CHECK(json.at("jobs") == nlohmann::json({{"total", 4},
                                           {"queued", 0},
                                           {"running", 0},
                                           {"done", 3},
                                           {"failed", 1},
                                           {"held", 0},
                                           {"cancelled", 0}}));
  CHECK(json.at("cost").at("measured_usd") == "0.000000000315");
  CHECK(status_view(b, status).find("failed: 1 bad_request") != std::string::npos);
}

TEST_CASE_METHOD(WorkerTest, "status without a worker says so, with the command") {
  submit({"one"});
  SqliteCommit commit;
  Database db(store, Access::read_only, commit);
  StoreReader reader(db);
  const StoreStatus status = read_status(reader, store, "b", clock.now);
  CHECK(status.batches.front().bound_by == "no worker");
  CHECK(status.batches.front().waits.front().next_step == "docmill work");
  CHECK(status_table(status, false).find("next: docmill work") != std::string::npos);
}
