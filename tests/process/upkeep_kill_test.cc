// Deaths and stops while something other than the work is under way: a backup, a pruning, a
// migration, a document that eats the memory, a writer that was stopped with the lock in its hand.

#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>

#include <random>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOneModel = R"toml(
[worker]
in_flight = 16
retry_base = "20ms"
retry_cap = "200ms"
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
input = 0.42
output = 0.84
)toml";

const PriceList kPrices = {{"m", {420'000, 420'000, 840'000}}};

class UpkeepKillTest : public MillTest {
 protected:
  void submit(int count) {
    simulate("--latency 20ms");
    configure(kOneModel);
    texts = write_texts("docs.jsonl", count);
    REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  }
  void check_books() {
    const std::vector<LogLine> log = sent();
    StoreView store(store_file);
    CHECK(store.text("PRAGMA integrity_check") == "ok");
    CHECK(breaches_of_results(store, "b", texts) == Breaches());
    CHECK(breaches_of_ledger(store, log) == Breaches());
    CHECK(breaches_of_money(store, log, kPrices) == Breaches());
  }
  std::vector<Text> texts;
  std::mt19937_64 random{std::random_device()()};
};

}  // namespace

TEST_CASE_METHOD(UpkeepKillTest, "a backup beside a worker is whole or not there, whenever killed",
                 "[process]") {
  submit(3000);
  Process worker = start("work --drain");
  REQUIRE(becomes_true(20'000, [&] { return sent_count() > 50; }));
  REQUIRE(docmill("backup early.db").code == 0);
  int whole = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string name = fmt::format("copy-{}.db", i);
    Process backup = start("backup " + name);
    backup.wait(std::uniform_int_distribution<std::int64_t>(1, 60)(random));
    backup.kill();
    if (!fs::exists(folder / name)) continue;
    ++whole;
    StoreView copy(folder / name);
    CHECK(copy.text("PRAGMA integrity_check") == "ok");
    CHECK(copy.number("SELECT count(*) FROM job") == 3000);
    CHECK(copy.number("SELECT count(*) FROM batch WHERE paused_at IS NOT NULL OR finished_at "
                      "IS NOT NULL") == 1);
  }
  REQUIRE(worker.wait(60'000));
  check_books();
  // A store that is started from a copy sends nothing by itself.
  const std::size_t before = sent_count();
  CHECK(docmill("--store early.db work --drain").code == 4);
  CHECK(sent_count() == before);
  fmt::print("backup test: {} of 20 came to their end before they were killed\n", whole);
}

TEST_CASE_METHOD(UpkeepKillTest, "a pruning that is killed is gone on with, and the ledger stays",
                 "[process]") {
  submit(3000);
  REQUIRE(docmill("work --drain").code == 0);
  const std::string cost = status("b").at("cost").at("measured_usd").get<std::string>();
  CHECK(docmill("prune --older-than 0s").err.find("never taken") != std::string::npos);
  CHECK(StoreView(store_file).number("SELECT count(*) FROM job_output") == 3000);
  REQUIRE(docmill("results b -o all.jsonl").code == 0);
  for (int i = 0; i < 8; ++i) {
    Process prune = start("prune --older-than 0s");
    prune.wait(std::uniform_int_distribution<std::int64_t>(5, 60)(random));
    prune.kill();
    CHECK(StoreView(store_file).number("SELECT count(*) FROM pragma_foreign_key_check") == 0);
  }
  REQUIRE(docmill("prune --older-than 0s").code == 0);
  StoreView store(store_file);
  CHECK(store.text("PRAGMA integrity_check") == "ok");
  CHECK(store.number("SELECT count(*) FROM job_output") == 0);
  CHECK(store.number("SELECT count(*) FROM job_input") == 0);
  CHECK(store.number("SELECT count(*) FROM job WHERE state = 'done'") == 3000);
  CHECK(store.number("SELECT count(*) FROM attempt") == 3000);
  CHECK(status("b").at("cost").at("measured_usd") == cost);
}

TEST_CASE_METHOD(UpkeepKillTest, "a migration that is killed is made by the next who comes",
                 "[process]") {
  simulate("");
  configure(kOneModel);
  write_texts("docs.jsonl", 5);
  for (int i = 0; i < 20; ++i) {
    const fs::path store = folder / fmt::format("old-{}.db", i);
    fs::copy_file(fs::path(DOCMILL_SOURCE_DIR) / "tests/fixtures/schema-1.db", store);
    const std::string submit =
        fmt::format("--store {} submit summarise docs.jsonl --batch b", store.filename().string());
    for (int life = 0; life < 2; ++life) {
      Process process = start(submit);
      process.wait(std::uniform_int_distribution<std::int64_t>(2, 40)(random));
      process.kill();
    }
    const Ran last = docmill(submit);
    CAPTURE(i, last.err);
    REQUIRE(last.code == 0);
    StoreView view(store);
    CHECK(view.text("PRAGMA integrity_check") == "ok");
    CHECK(view.number("SELECT count(*) FROM job WHERE batch_id = 1 AND state = 'done'") == 8);
  }
}

// Three deaths on its bytes, each by running out of memory; others are done meanwhile.
TEST_CASE_METHOD(UpkeepKillTest, "a document that the worker dies of is held, its neighbours done",
                 "[process]") {
  simulate("");
  configure(R"toml(
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
context_tokens = 100000000
)toml");
  std::string lines;
  for (int i = 0; i < 20; ++i) {
    const std::string text = i == 10 ? std::string(50 << 20, 'x') : fmt::format("text {}", i);
    lines += nlohmann::json({{"id", fmt::format("d{}", i)}, {"text", text}}).dump() + "\n";
  }
  write("docs.jsonl", lines);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  wrapper = {"/usr/bin/prlimit", "--as=150000000"};
  int deaths = 0;
  for (; deaths < 10 && docmill("work --drain").code == 3; ++deaths) {
  }
  wrapper.clear();
  CHECK(deaths == 3);
  const nlohmann::json jobs = status("b").at("jobs");
  CHECK(jobs.at("held") == 1);
  CHECK(jobs.at("done") == 19);
  CHECK(docmill("results b --failed").out.find("\"id\":\"d10\"") != std::string::npos);
}

TEST_CASE_METHOD(UpkeepKillTest, "a stopped worker keeps its store, and goes on when it is let",
                 "[process]") {
  submit(2000);
  Process worker = start("work --drain");
  REQUIRE(becomes_true(20'000, [&] { return sent_count() > 200; }));
  for (int i = 0; i < 5; ++i) {
    worker.send(SIGSTOP);
    const Ran second = docmill("work --drain");
    CHECK(second.code == 3);
    CHECK(second.err.find(std::to_string(worker.pid())) != std::string::npos);
    CHECK(docmill("status --json").code == 0);
    worker.send(SIGCONT);
    worker.wait(50);
  }
  REQUIRE(worker.wait(60'000));
  CHECK(worker.wait(0)->code == 0);
  check_books();
  CHECK(StoreView(store_file).number("SELECT count(*) FROM attempt") == 2000);
}

// A submit that was stopped with the write lock in its hand: this process takes its place.
TEST_CASE_METHOD(UpkeepKillTest, "who holds the write lock is named, and no reply is lost for it",
                 "[process]") {
  submit(400);
  Process worker = start("work --drain");
  REQUIRE(becomes_true(20'000, [&] { return sent_count() > 50; }));
  Fd lock(open((store_file.string() + ".write").c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(flock(lock.get(), LOCK_EX) == 0);
  const std::string pid = fmt::format("{:<12}\n", getpid());
  REQUIRE(pwrite(lock.get(), pid.data(), pid.size(), 0) > 0);
  worker.wait(7000);
  const nlohmann::json waits = status("b");
  CHECK(waits.at("bound_by") == fmt::format("the write lock, held by pid {}", getpid()));
  CHECK(err_of(worker).find(fmt::format("held by pid {}", getpid())) != std::string::npos);
  const std::int64_t ticks = worker.cpu_ticks();
  worker.wait(1000);
  CHECK(worker.cpu_ticks() - ticks < 20);
  flock(lock.get(), LOCK_UN);
  REQUIRE(worker.wait(60'000));
  CHECK(worker.wait(0)->code == 0);
  check_books();
  // What was in flight meanwhile was kept: each document was asked for once.
  CHECK(sent_count() == 400);
}

}  // namespace docmill::process_test
