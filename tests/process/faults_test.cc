// A provider at its worst, over real sockets: whatever it does, every document ends, nothing hangs,
// and the account is right to the last digit.

#include <fmt/format.h>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

// Each befalls one request in fifty of the first model; the second answers.
constexpr const char* kEveryFault =
    "m+408=0.02+429=0.02+500=0.02+502=0.02+503=0.02+504=0.02+529=0.02+reset=0.02+cut=0.02+"
    "stall=0.02+trickle=0.02+blank=0.02+blank_then_answer=0.02+oversize=0.02+html=0.02+empty=0.02+"
    "error200=0.02+bad_json=0.02+no_choices=0.02+no_content=0.02+length=0.02+content_filter=0.02+"
    "no_usage=0.02+retry-after=20ms+interval=1ms";

constexpr const char* kImpatientWorker = R"toml(
[worker]
in_flight = 32
max_tries = 3
retry_base = "10ms"
retry_cap = "50ms"
breaker_failures = 1000
max_reply = "1MiB"
[defaults]
chain = ["faulty", "good"]
[providers.sim]
base_url = "@URL@"
first_byte_timeout = "500ms"
progress_timeout = "500ms"
deadline = "3s"
[models.faulty]
provider = "sim"
name = "{}"
input = 0.42
cached_input = 0.042
output = 0.84
[models.good]
provider = "sim"
name = "n"
input = 2
cached_input = 0.5
output = 8
)toml";

}  // namespace

TEST_CASE_METHOD(MillTest, "whatever a provider does, every document ends and every cent is known",
                 "[process]") {
  simulate("--cached 0.3 --latency 10ms");
  configure(fmt::format(kImpatientWorker, kEveryFault));
  const std::vector<Text> texts = write_texts("docs.jsonl", 1000 * test_scale());
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  const std::int64_t start_ms = wall_ms();

  CHECK(docmill("work --drain").code == 0);

  CHECK(wall_ms() - start_ms < 90'000 * test_scale());  // none hangs
  const std::vector<LogLine> log = sent();
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(breaches_of_ledger(store, log) == Breaches());
  CHECK(breaches_of_money(store, log,
                          {{kEveryFault, {420'000, 42'000, 840'000}},
                           {"n", {2'000'000, 500'000, 8'000'000}}}) == Breaches());
  // May be billed: at most twice on one model.
  CHECK(store
            .rows(R"sql(
            SELECT job_id, model, count(*) FROM attempt WHERE cost_basis = 'unknown'
            GROUP BY 1, 2 HAVING count(*) > 2)sql")
            .empty());
  std::map<std::string, int> fates;
  for (const LogLine& line : log) ++fates[line.fate];
  CHECK(fates.size() == 24);  // all of them, and answers
}

TEST_CASE_METHOD(MillTest, "a provider that answers 429 costs time, no try and no document",
                 "[process]") {
  simulate("--rpm 3000 --burst 10 --latency 5ms");
  configure(fmt::format(kImpatientWorker, "unused"));
  const std::vector<Text> texts = write_texts("docs.jsonl", 100);

  CHECK(docmill("run summarise docs.jsonl --batch b --models good").code == 0);

  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(store.number("SELECT max(tries) FROM job") == 0);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE outcome = 'rate_limited'") > 0);
  CHECK(breaches_of_money(store, sent(), {{"n", {2'000'000, 500'000, 8'000'000}}}) == Breaches());
}

TEST_CASE_METHOD(MillTest, "a worker in a crash loop keeps to the provider's rate", "[process]") {
  simulate("");
  configure(R"toml(
[providers.sim]
base_url = "@URL@"
requests_per_minute = 1200
burst = 0.5
[models.only]
provider = "sim"
)toml");
  write_texts("docs.jsonl", 400);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  const std::int64_t start_ms = wall_ms();
  for (int life = 0; life < 12; ++life) {
    Process worker = start("work");
    worker.wait(200);
    CHECK(worker.kill());
  }
  // 20 a second, after a burst of 10.
  const std::int64_t allowed = 10 + (wall_ms() - start_ms) * 20 / 1000 + 1;
  CHECK(static_cast<std::int64_t>(sent_count()) <= allowed);
  CHECK(sent_count() > 20);
}

}  // namespace docmill::process_test
