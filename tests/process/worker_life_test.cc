// A worker's life as others see it: one a store, awake at once when there is work and idle when
// there is none, and three ways to end.

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;

constexpr const char* kSixteenInFlight = R"toml(
[worker]
in_flight = 16
[providers.sim]
base_url = "@URL@"
[models.only]
provider = "sim"
input = 0.42
output = 0.84
)toml";

const PriceList kPriceOfOnly = {{"only", {420'000, 420'000, 840'000}}};

constexpr const char* kCountUnknown = "SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'";

class WorkerLifeTest : public MillTest {
 protected:
  // Sixteen requests have reached the provider, and no answer has come back yet.
  Process start_with_sixteen_in_flight(const std::string& latency) {
    simulate("--latency " + latency);
    configure(kSixteenInFlight);
    write_texts("docs.jsonl", 100);
    REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
    Process worker = start("work");
    REQUIRE(becomes_true(10'000, [&] { return sent_count() == 16; }));
    return worker;
  }
  std::int64_t jobs(const std::string& state) {
    return StoreView(store_file).number("SELECT count(*) FROM job WHERE state = '" + state + "'");
  }
};

}  // namespace

TEST_CASE_METHOD(WorkerLifeTest, "a second worker is refused and told who is the first",
                 "[process]") {
  simulate("--latency 100ms");
  configure(kSixteenInFlight);
  write_texts("docs.jsonl", 200);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process first = start("work");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() > 0; }));

  const std::int64_t start_ms = wall_ms();
  const Ran second = docmill("work");

  CHECK(second.code == 3);
  CHECK(second.err.find(fmt::format("pid {}", first.pid())) != std::string::npos);
  CHECK(wall_ms() - start_ms < 3000);
  CHECK(docmill("wait b --timeout 60s").code == 0);
  CHECK(jobs("done") == 200);
  first.send(SIGTERM);
  CHECK(first.wait(10'000)->code == 0);
  CHECK(sent_count() == 200);
}

TEST_CASE_METHOD(WorkerLifeTest, "an idle worker takes up a submit at once", "[process]") {
  simulate("");
  configure(kSixteenInFlight);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return docmill("status --json").code == 0; }));
  for (int i = 0; i < 5; ++i) {
    const std::string name = fmt::format("b{}", i);
    write(name + ".txt", "Text number " + name);
    const std::size_t sent_before = sent_count();
    const std::int64_t start_ms = wall_ms();
    REQUIRE(docmill(fmt::format("submit summarise {0}.txt --batch {0}", name)).code == 0);
    const std::int64_t end_ms = wall_ms();
    REQUIRE(becomes_true(10'000, [&] { return sent_count() > sent_before; }));

    const std::int64_t request_ms = sent().back().t_ms;
    const std::int64_t queued_ms = StoreView(store_file).number("SELECT max(created_at) FROM job");
    fmt::print("nudge: request {} ms after the job was queued, {} ms after submit ended ({} ms)\n",
               request_ms - queued_ms, request_ms - end_ms, end_ms - start_ms);
    CHECK(request_ms - end_ms < 1000);
    CHECK(docmill("wait " + name + " --timeout 10s").code == 0);
  }
}

TEST_CASE_METHOD(WorkerLifeTest, "an idle worker uses no processor time", "[process]") {
  simulate("");
  configure(kSixteenInFlight);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return docmill("status --json").code == 0; }));
  write_texts("docs.jsonl", 50);  // idle after work, too, with connections open
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  REQUIRE(docmill("wait b --timeout 10s").code == 0);
  REQUIRE(!worker.wait(300));

  const std::int64_t before = worker.cpu_ticks();
  CHECK(!worker.wait(1500));
  const std::int64_t used = worker.cpu_ticks() - before;

  fmt::print("idle: {} ticks of 1/{} s in 1.5 s\n", used, sysconf(_SC_CLK_TCK));
  CHECK(used <= 3);
}

TEST_CASE_METHOD(WorkerLifeTest, "SIGTERM keeps what is in flight and claims nothing more",
                 "[process]") {
  Process worker = start_with_sixteen_in_flight("800ms");

  worker.send(SIGTERM);

  CHECK(worker.wait(10'000)->code == 0);
  CHECK(sent_count() == 16);
  CHECK(jobs("done") == 16);
  CHECK(jobs("ready") == 84);
  StoreView store(store_file);
  CHECK(store.number(kCountUnknown) == 0);
  CHECK(store.text("SELECT end_reason FROM worker") == "clean");
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  CHECK(breaches_of_money(store, sent(), kPriceOfOnly) == Breaches());
}

TEST_CASE_METHOD(WorkerLifeTest, "a second signal cuts what is in flight", "[process]") {
  Process worker = start_with_sixteen_in_flight("30s");
  worker.send(SIGTERM);
  REQUIRE(becomes_true(5000, [&] { return err_of(worker).find("stopping") != std::string::npos; }));
  CHECK(!worker.wait(300));

  worker.send(SIGTERM);

  CHECK(worker.wait(2000)->code == 0);
  CHECK(sent_count() == 16);
  CHECK(jobs("ready") == 100);
  StoreView store(store_file);
  CHECK(store.number(kCountUnknown) == 16);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE settled_at IS NULL") == 0);
  CHECK(breaches_of_money(store, sent(), kPriceOfOnly) == Breaches());
}

TEST_CASE_METHOD(WorkerLifeTest, "a drain that takes too long is cut at stop_timeout",
                 "[process]") {
  simulate("--latency 30s");
  std::string config = kSixteenInFlight;
  config.replace(config.find("in_flight = 16"), 14, "in_flight = 16\nstop_timeout = \"1s\"");
  configure(config);
  write_texts("docs.jsonl", 20);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() == 16; }));

  worker.send(SIGTERM);

  CHECK(!worker.wait(500));
  CHECK(worker.wait(5000)->code == 0);
  CHECK(jobs("ready") == 20);
  StoreView store(store_file);
  CHECK(store.number(kCountUnknown) == 16);
  CHECK(breaches_of_money(store, sent(), kPriceOfOnly) == Breaches());
}

TEST_CASE_METHOD(WorkerLifeTest, "SIGINT drains as SIGTERM does and exits 130", "[process]") {
  Process worker = start_with_sixteen_in_flight("800ms");

  worker.send(SIGINT);

  CHECK(worker.wait(10'000)->code == 130);
  CHECK(jobs("done") == 16);
  CHECK(StoreView(store_file).number(kCountUnknown) == 0);
}

// Down in the middle of the work, and back: that costs time, some unknown outcomes, no document.
TEST_CASE_METHOD(WorkerLifeTest, "a provider that goes away and comes back loses no document",
                 "[process]") {
  simulate("--latency 20ms");
  std::string config = kSixteenInFlight;
  config.replace(config.find("in_flight = 16"), 14,
                 "in_flight = 16\nretry_base = \"20ms\"\nretry_cap = \"100ms\"\n"
                 "breaker_cooldown = \"300ms\"");
  configure(config);
  const std::vector<Text> texts = write_texts("docs.jsonl", 800);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work --drain");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() > 100; }));

  stop_simulating();
  CHECK(!worker.wait(1000));
  simulate_again("--latency 20ms");

  CHECK(worker.wait(60'000)->code == 0);
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  CHECK(breaches_of_money(store, sent(), kPriceOfOnly) == Breaches());
  // What flew when the first was lost; a turn may have filled its place before the rest was lost,
  // too.
  CHECK(store.number(R"sql(
      SELECT count(*) FROM attempt WHERE cost_basis = 'unknown' AND opened_at <
        (SELECT min(settled_at) FROM attempt WHERE cost_basis = 'unknown'))sql") <= 16);
  CHECK(store.number(kCountUnknown) <= 2 * 16);
}

TEST_CASE_METHOD(WorkerLifeTest, "a text that is damaged on disk fails alone, and is never sent",
                 "[process]") {
  simulate("--latency 50ms");
  configure(kSixteenInFlight);
  std::string lines;
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) {
    std::string& text = texts.emplace_back();
    for (int k = 0; k < 40; ++k) text += fmt::format("Sentence {} of text {}. ", k, i);
    lines += json({{"id", std::to_string(i)}, {"text", text}}).dump() + "\n";
  }
  write("docs.jsonl", lines);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  {
    SQLite::Database db(store_file.string(), SQLite::OPEN_READWRITE);
    REQUIRE(db.exec("UPDATE job_input SET body = CAST(substr(body, 1, length(body) - 1) || x'00' "
                    "AS BLOB) WHERE id = 31") == 1);
  }
  const Ran first = docmill("work --drain");
  CHECK(first.code == 1);
  CHECK(first.err.find("the text with id 31 in job_input") != std::string::npos);
  CHECK(sent_count() == 59);
  const std::vector<json> failed = docmill("results b --failed").lines();
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].at("id") == "30");
  CHECK(failed[0].at("error").at("class") == "damaged_text");

  // As docs/operations.md has it.
  {
    SQLite::Database db(store_file.string(), SQLite::OPEN_READWRITE);
    SQLite::Statement put(db, "UPDATE job_input SET body = ? WHERE id = 31");
    put.bind(1, texts[30]);
    REQUIRE(put.exec() == 1);
  }
  CHECK(docmill("retry b").code == 0);
  CHECK(docmill("work --drain").code == 0);
  CHECK(sent_count() == 60);
}

TEST_CASE_METHOD(WorkerLifeTest, "a run that is interrupted hands out what it has and goes on",
                 "[process]") {
  simulate("--latency 300ms");
  configure(kSixteenInFlight);
  const std::vector<Text> texts = write_texts("docs.jsonl", 64);
  Process run = start("run summarise docs.jsonl --batch b");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() > 16; }));
  run.send(SIGINT);
  CHECK(run.wait(10'000)->code == 130);
  const Ran part = docmill("results b");
  CHECK(part.code == 1);
  CHECK(part.lines().size() == sent_count());

  CHECK(docmill("run summarise docs.jsonl --batch b").code == 0);

  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(sent_count() == texts.size());  // nothing was asked twice
}

}  // namespace docmill::process_test
