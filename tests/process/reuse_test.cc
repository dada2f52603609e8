// P6: what was paid for is not paid for again.

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

constexpr const char* kTwoModels = R"toml(
[worker]
in_flight = 8
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
input = 3
output = 15
[models.n]
provider = "sim"
input = 1
output = 2
)toml";

}  // namespace

TEST_CASE_METHOD(MillTest, "the same request of another batch takes over the result, and says so",
                 "[process]") {
  simulate("");
  configure(kTwoModels);
  write_texts("docs.jsonl", 20);
  REQUIRE(docmill("run summarise docs.jsonl --batch one --models m -o one.jsonl").code == 0);
  const auto cost = docmill("report one --format json").json().at("totals").at("cost_usd");

  const Ran dry = docmill("submit summarise docs.jsonl --batch two --models n,m --dry-run");
  CHECK(dry.out.find("20 of them were answered before") != std::string::npos);
  REQUIRE(docmill("run summarise docs.jsonl --batch two --models n,m -o two.jsonl").code == 0);
  CHECK(sent_count() == 20);
  Ran one, two;
  one.out = read(folder / "one.jsonl");
  two.out = read(folder / "two.jsonl");
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(two.lines()[i].at("output") == one.lines()[i].at("output"));
    CHECK(two.lines()[i].at("reused") == true);
    CHECK(two.lines()[i].at("model") == "m");
    CHECK(two.lines()[i].at("cost_usd") == "0.00");
    CHECK(one.lines()[i].at("reused") == false);
  }
  const auto totals = docmill("report two --format json").json().at("totals");
  CHECK(totals.at("reused") == 20);
  CHECK(totals.at("saved_usd") == cost);
  CHECK(totals.at("cost_usd") == "0.00");
  CHECK(docmill("explain two " + two.lines()[0].at("id").get<std::string>()).out.find("reused") !=
        std::string::npos);

  // Of none of these: another model, another prompt, another tenant, --fresh.
  REQUIRE(docmill("run summarise docs.jsonl --batch n --models n -o x.jsonl").code == 0);
  CHECK(sent_count() == 40);
  REQUIRE(docmill("run summarise docs.jsonl --batch p --models m --instructions Briefly -o x.jsonl")
              .code == 0);
  CHECK(sent_count() == 60);
  REQUIRE(docmill("run summarise docs.jsonl --batch t --models m --tenant acme -o x.jsonl").code ==
          0);
  CHECK(sent_count() == 80);
  REQUIRE(docmill("run summarise docs.jsonl --batch f --models m --fresh -o x.jsonl").code == 0);
  CHECK(sent_count() == 100);
  // What was pruned cannot be taken over.
  StoreView store(store_file);
  CHECK(store.number("SELECT count(*) FROM job WHERE state != 'done'") == 0);
}

}  // namespace docmill::process_test
