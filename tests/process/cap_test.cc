// P5: a cap is a cap, at any concurrency and across crashes. The provider's bill is the measure.

#include <fmt/format.h>

#include <random>

#include "base/money.h"
#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

// The answer's limit is near what answers take, so ceilings are near what is billed.
constexpr const char* kCappedModels = R"toml(
[worker]
in_flight = 16
retry_base = "10ms"
retry_cap = "50ms"
breaker_cooldown = "200ms"
[defaults]
chain = ["first", "spare"]
[tasks.summarise]
max_output_tokens = 160
[providers.sim]
base_url = "@URL@"
[models.first]
provider = "sim"
input = 0.42
cached_input = 0.042
output = 0.84
[models.spare]
provider = "sim"
input = 0.84
cached_input = 0.084
output = 1.68
)toml";

const PriceList kCappedPrices = {{"first", {420'000, 42'000, 840'000}},
                                 {"spare", {840'000, 84'000, 1'680'000}}};

class CapTest : public MillTest {
 protected:
  void check_cap(std::int64_t cap_pusd) {
    const std::vector<LogLine> log = sent();
    StoreView store(store_file);
    CHECK(bill_pusd(log, kCappedPrices) <= cap_pusd);
    CHECK(store.number("SELECT spent_pusd + reserved_pusd FROM batch") <= cap_pusd);
    CHECK(breaches_of_ledger(store, log) == Breaches());
    CHECK(breaches_of_money(store, log, kCappedPrices) == Breaches());
  }
};

}  // namespace

TEST_CASE_METHOD(CapTest, "no kill makes a batch cost more than its cap", "[process]") {
  const std::uint64_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  simulate("--latency 15ms --cached 0.3 --mix 500=0.02,reset=0.01");
  configure(kCappedModels);
  const std::vector<Text> texts = write_texts("docs.jsonl", 1500);
  REQUIRE(docmill("submit summarise docs.jsonl --batch capped --max-cost 0.12").code == 0);
  const std::int64_t cap_pusd = parse_usd("0.12").value();

  std::optional<int> code;
  int kills = 0;
  for (int i = 0; i < 6 * test_scale() && !code; ++i) {
    Process worker = start("work --drain");
    worker.wait(std::uniform_int_distribution<std::int64_t>(60, 350)(random));
    if (worker.kill()) {
      ++kills;
    } else {
      code = worker.wait(0)->code;
    }
    check_cap(cap_pusd);
  }
  if (!code) code = docmill("work --drain").code;

  CHECK(code == 4);
  CHECK(kills >= 3);
  check_cap(cap_pusd);
  const nlohmann::json held = status("capped");
  fmt::print("cap test: {} kills, {} of {} done, {} billed, {} measured, {} possible, cap {}\n",
             kills, held.at("jobs").at("done").get<int>(), texts.size(),
             human_usd(bill_pusd(sent(), kCappedPrices)),
             held.at("cost").at("measured_usd").get<std::string>(),
             held.at("cost").at("possible_usd").get<std::string>(), human_usd(cap_pusd));
  CHECK(held.at("state") == "held");
  CHECK(held.at("jobs").at("running") == 0);
  CHECK(held.at("jobs").at("queued").get<int>() > 0);
  const std::string reason = held.at("held_reason").get<std::string>();
  const std::size_t amount = reason.find("--max-cost ");
  REQUIRE(amount != std::string::npos);

  // The amount that it names is where a person looks, and lets at least one more document through.
  const std::string needed =
      reason.substr(amount + 11, reason.find(' ', amount + 11) - amount - 11);
  CAPTURE(reason, needed);
  // What status proposes is enough for all that is left.
  const std::string step = held.at("waits").at(0).at("next_step").get<std::string>();
  const std::string proposed = "docmill resume capped --max-cost ";
  REQUIRE(step.starts_with(proposed));
  CHECK(std::stod(step.substr(proposed.size())) > std::stod(needed));
  CHECK(docmill("status").out.find(step) != std::string::npos);
  const std::int64_t done = held.at("jobs").at("done").get<std::int64_t>();
  REQUIRE(docmill("resume capped --max-cost " + needed).code == 0);
  CHECK(docmill("work --drain").code == 4);
  CHECK(StoreView(store_file).number("SELECT count(*) FROM job_output") > done);
  check_cap(parse_usd(needed).value());

  REQUIRE(docmill("resume capped --max-cost 5").code == 0);
  CHECK(docmill("work --drain").code == 0);
  check_cap(parse_usd("5").value());
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "capped", texts) == Breaches());
}

TEST_CASE_METHOD(CapTest, "a cap below what is spent or unknown is refused with the figure",
                 "[process]") {
  simulate("");
  configure(kCappedModels);
  write_texts("docs.jsonl", 30);
  CHECK(docmill("run summarise docs.jsonl --batch capped --max-cost 0.001").code == 4);
  const std::int64_t spent_pusd = StoreView(store_file).number("SELECT spent_pusd FROM batch");
  CHECK(spent_pusd > 0);

  const Ran refused = docmill("resume capped --max-cost 0.0001");

  CHECK(refused.code == 2);
  CHECK(refused.err.find(exact_usd(spent_pusd)) != std::string::npos);
  const std::size_t sent_before = sent_count();
  CHECK(docmill("work --drain").code == 4);
  CHECK(sent_count() == sent_before);
  CHECK(docmill("resume capped --max-cost 1").code == 0);
  CHECK(docmill("work --drain").code == 0);
}

// It once held the batch as soon as the job that was next did not fit.
TEST_CASE_METHOD(CapTest, "what does not fit under a cap does not hold up what does", "[process]") {
  simulate("--latency 10ms");
  configure(R"toml(
[worker]
in_flight = 8
[defaults]
chain = ["first"]
[routes.dearest]
chain = ["dear"]
[tasks.summarise]
max_output_tokens = 160
[providers.sim]
base_url = "@URL@"
[models.first]
provider = "sim"
input = 0.42
output = 0.84
[models.dear]
provider = "sim"
input = 420
output = 840
)toml");
  std::string lines;
  for (int i = 0; i < 3; ++i) {
    lines += fmt::format("{{\"id\":\"dear-{0}\",\"text\":\"D {0}.\",\"route\":\"dearest\"}}\n", i);
  }
  for (int i = 0; i < 40; ++i) {
    lines += fmt::format("{{\"id\":\"cheap-{0}\",\"text\":\"Cheap {0}.\"}}\n", i);
  }
  write("docs.jsonl", lines);

  CHECK(docmill("run summarise docs.jsonl --batch b --max-cost 0.05").code == 4);

  CHECK(sent_count() == 40);
  CHECK(status("b").at("state") == "held");
  CHECK(docmill("resume b --max-cost 5").code == 0);
  CHECK(docmill("work --drain").code == 0);
  CHECK(sent_count() == 43);
}

}  // namespace docmill::process_test
