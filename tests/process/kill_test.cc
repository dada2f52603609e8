// The promise above all others: kill -9 at any moment, any number of times, and nothing is lost,
// doubled or unaccounted for. The provider's own log is the judge.

#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

constexpr const char* kTwoModels = R"toml(
[worker]
in_flight = 32
retry_base = "20ms"
retry_cap = "200ms"
breaker_cooldown = "500ms"
[defaults]
chain = ["first", "spare"]
[providers.sim]
base_url = "@URL@"
[models.first]
provider = "sim"
input = 0.42
cached_input = 0.042
output = 0.84
[models.spare]
provider = "sim"
input = 1.26
cached_input = 0.13
output = 2.111111
)toml";

const PriceList kPrices = {{"first", {420'000, 42'000, 840'000}},
                           {"spare", {1'260'000, 130'000, 2'111'111}}};

std::uint64_t test_seed() {
  const char* given = std::getenv("DOCMILL_TEST_SEED");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return std::random_device()();
}

class KillTest : public MillTest {
 protected:
  // Starts workers and kills each after a random while, until `kills` were killed at work or one
  // came to its end. What holds at every moment is checked after each kill.
  int kill_workers(int kills, std::mt19937_64& random) {
    std::uniform_int_distribution<std::int64_t> lifetime_ms(30, 400);
    std::int64_t outputs = 0;
    for (int killed = 0; killed < kills; ++killed) {
      Process worker = start("work --drain");
      worker.wait(lifetime_ms(random));
      if (!worker.kill()) return killed;
      const std::vector<LogLine> log = sent();
      StoreView store(store_file);
      CHECK(breaches_of_ledger(store, log) == Breaches());
      CHECK(breaches_of_money(store, log, kPrices) == Breaches());
      const std::int64_t outputs_now = store.number("SELECT count(*) FROM job_output");
      CHECK(outputs_now >= outputs);
      outputs = outputs_now;
    }
    return kills;
  }
};

}  // namespace

TEST_CASE_METHOD(KillTest, "a worker killed again and again loses nothing and pays for all it did",
                 "[process]") {
  const std::uint64_t seed = test_seed();
  fmt::print("kill test: DOCMILL_TEST_SEED={} repeats it\n", seed);
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  simulate(fmt::format("--mix 500=0.03,reset=0.01,503=0.01 --latency 20ms --cached 0.3 --seed {}",
                       seed % 1'000'000));
  configure(kTwoModels);
  const std::vector<Text> texts = write_texts("docs.jsonl", 5000 * test_scale());
  REQUIRE(docmill("submit summarise docs.jsonl --batch killed").code == 0);
  std::filesystem::remove(folder / "docs.jsonl");  // its texts are in the store

  const int kills = kill_workers(20 * test_scale(), random);
  CHECK(kills == 20 * test_scale());
  const Ran last = docmill("work --drain");

  CHECK(last.code == 0);
  const std::vector<LogLine> log = sent();
  StoreView store(store_file);
  CHECK(store.text("PRAGMA integrity_check") == "ok");
  CHECK(breaches_of_results(store, "killed", texts) == Breaches());
  CHECK(breaches_of_ledger(store, log) == Breaches());
  CHECK(breaches_of_money(store, log, kPrices) == Breaches());
  CHECK(store.number("SELECT count(*) FROM attempt WHERE settled_at IS NULL") == 0);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE outcome = 'answered'") ==
        std::ssize(texts));
  const std::int64_t unanswered =
      store.number("SELECT count(*) FROM attempt WHERE outcome != 'answered'");
  const std::int64_t unknown =
      store.number("SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'");
  CHECK(std::ssize(log) - std::ssize(texts) <= unanswered);
  CHECK(unknown > 0);
  fmt::print("kill test: {} kills, {} requests for {} documents, {} unknown outcomes\n", kills,
             log.size(), texts.size(), unknown);
}

}  // namespace docmill::process_test
