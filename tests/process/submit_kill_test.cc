// A submit that dies half-way is run again, and the result is as if it had not died.

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

constexpr const char* kOneModel = R"toml(
[providers.sim]
base_url = "@URL@"
[models.only]
provider = "sim"
input = 0.42
output = 0.84
)toml";

constexpr const char* kCountIds =
    "SELECT count(*) || ' jobs, ' || count(DISTINCT item_key) || ' ids' FROM job";

}  // namespace

TEST_CASE_METHOD(MillTest, "a submit killed anywhere and run again queues each document once",
                 "[process]") {
  const std::uint64_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  simulate("");
  configure(kOneModel);
  const int count = 20'000 * test_scale();
  write_texts("docs.jsonl", count);
  const std::string submit = "submit summarise docs.jsonl --batch all";

  std::int64_t queued = 0;
  int killed = 0;
  // Later and later, so that the first dies before the store is whole and the last near its end.
  // One that was faster than its death shortens the next one's life: a machine is never too fast.
  std::int64_t latest_ms = 60;
  for (int i = 0; i < 60 && killed < 6; ++i) {
    Process process = start(submit);
    process.wait(std::uniform_int_distribution<std::int64_t>(2, latest_ms)(random));
    const bool was_killed = process.kill();
    killed += was_killed ? 1 : 0;
    latest_ms = was_killed ? latest_ms + 90 : std::max<std::int64_t>(latest_ms / 2, 3);
    // Before the switch to WAL there are no jobs yet, and a journal that only a writer can undo.
    if (!std::filesystem::exists(store_file.string() + "-wal")) continue;
    StoreView store(store_file);
    const bool has_schema =
        store.number("SELECT count(*) FROM sqlite_schema WHERE name = 'job'") == 1;
    const std::int64_t queued_now = has_schema ? store.number("SELECT count(*) FROM job") : 0;
    CHECK(queued_now >= queued);
    queued = queued_now;
  }
  CHECK(killed == 6);
  const Ran last = docmill(submit);

  REQUIRE(last.code == 0);
  CHECK(last.out == "all\n");
  StoreView store(store_file);
  CHECK(store.text(kCountIds) == fmt::format("{0} jobs, {0} ids", count));
  CHECK(store.number("SELECT count(*) FROM job WHERE state = 'ready'") == count);
  CHECK(store.number("SELECT sealed_at IS NOT NULL FROM batch") == 1);
  CHECK(store.text("PRAGMA integrity_check") == "ok");

  const Ran again = docmill(submit);
  CHECK(again.code == 0);
  CHECK(again.err.find(fmt::format("0 new, 0 changed, {} unchanged",
                                   count == 20'000 ? "20,000" : "100,000")) != std::string::npos);
  CHECK(store.text(kCountIds) == fmt::format("{0} jobs, {0} ids", count));
  CHECK(sent_count() == 0);
}

// Rolling back needs to write, so whoever only looked at such a store once failed on it for ever.
TEST_CASE_METHOD(MillTest, "a store whose making was cut off is made anew", "[process]") {
  simulate("");
  configure(kOneModel);
  write_texts("docs.jsonl", 10);
  // What a death in the first transaction leaves: pages in the file, and the journal to undo them.
  const std::filesystem::path other = folder / "other.db";
  SQLite::Database making(other.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  making.exec("PRAGMA cache_size = 2");
  making.exec("BEGIN; CREATE TABLE half (body BLOB)");
  for (int i = 0; i < 50; ++i) making.exec("INSERT INTO half VALUES (zeroblob(4000))");
  std::filesystem::copy_file(other, store_file);
  std::filesystem::copy_file(other.string() + "-journal", store_file.string() + "-journal");
  making.exec("ROLLBACK");

  CHECK(docmill("submit summarise docs.jsonl --batch b").code == 0);

  REQUIRE(docmill("work --drain").code == 0);
  StoreView store(store_file);
  CHECK(store.text(kCountIds) == "10 jobs, 10 ids");
  CHECK(store.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_METHOD(MillTest, "a submit killed while it makes the store can be run again",
                 "[process]") {
  std::mt19937_64 random{std::random_device()()};
  simulate("");
  configure(kOneModel);
  write_texts("docs.jsonl", 50);
  for (int i = 0; i < 25 * test_scale(); ++i) {
    const std::string submit =
        fmt::format("--store stores/{}.db submit summarise docs.jsonl --batch b", i);
    std::filesystem::create_directories(folder / "stores");
    for (int life = 0; life < 2; ++life) {
      Process process = start(submit);
      process.wait(std::uniform_int_distribution<std::int64_t>(5, 50)(random));
      process.kill();
    }
    const Ran last = docmill(submit);
    CAPTURE(i, last.err);
    REQUIRE(last.code == 0);
    StoreView store(folder / fmt::format("stores/{}.db", i));
    CHECK(store.text(kCountIds) == "50 jobs, 50 ids");
  }
}

TEST_CASE_METHOD(MillTest, "two submits of the same at once queue each document once",
                 "[process]") {
  simulate("");
  configure(kOneModel);
  write_texts("docs.jsonl", 5000);
  Process first = start("submit summarise docs.jsonl --batch all");
  Process second = start("submit summarise docs.jsonl --batch all");

  CHECK(first.wait(60'000)->code == 0);
  CHECK(second.wait(60'000)->code == 0);

  StoreView store(store_file);
  CHECK(store.text(kCountIds) == "5000 jobs, 5000 ids");
  CHECK(store.number("SELECT count(*) FROM batch") == 1);
  CHECK(store.number("SELECT count(*) FROM job WHERE superseded_by IS NOT NULL") == 0);
}

TEST_CASE_METHOD(MillTest, "a batch whose submit died is named as what waits for a person",
                 "[process]") {
  simulate("");
  configure(kOneModel);
  write_texts("docs.jsonl", 20'000);
  Process submit = start("submit summarise docs.jsonl --batch all");
  // Some thousand documents are in, of twenty.
  const std::string wal = store_file.string() + "-wal";
  REQUIRE(becomes_true(20'000, [&] {
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(wal, error);
    return !error && bytes > 1'000'000;
  }));
  REQUIRE(submit.kill());

  const Ran work = docmill("work --drain");

  CHECK(work.code == 4);
  CHECK(work.err.find("submit") != std::string::npos);
  const nlohmann::json waiting = status("all");
  CHECK(waiting.at("state") == "submitting");
  CHECK(waiting.at("jobs").at("done") == waiting.at("jobs").at("total"));
  REQUIRE(waiting.at("waits").size() == 1);
  CHECK(waiting.at("waits").at(0).at("next_step").get<std::string>().find("submit") !=
        std::string::npos);
}

// What a worker had done by then stays done, and is not done again.
TEST_CASE_METHOD(MillTest, "a worker that runs beside a killed submit does each document once",
                 "[process]") {
  simulate("");
  configure(kOneModel);
  const std::vector<Text> texts = write_texts("docs.jsonl", 4000);
  const std::string submit = "submit summarise docs.jsonl --batch all";
  Process worker = start("work");
  for (int i = 0; i < 3; ++i) {
    Process process = start(submit);
    process.wait(150 + 100 * i);
    process.kill();
  }
  REQUIRE(docmill(submit).code == 0);

  CHECK(docmill("wait all --timeout 60s").code == 0);
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "all", texts) == Breaches());
  CHECK(sent_count() == texts.size());
}

}  // namespace docmill::process_test
