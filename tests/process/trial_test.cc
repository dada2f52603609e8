// docmill trial: the same documents through several models, and what they came to.

#include <set>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;

constexpr const char* kTrialModels = R"toml(
[worker]
in_flight = 8
[providers.sim]
base_url = "@URL@"
key_env = "MILL_TEST_KEY"
[models.m]
provider = "sim"
input = 3
output = 15
[models.n]
provider = "sim"
input = 1
output = 2
[models.small]
provider = "sim"
context_tokens = 2000
max_output_tokens = 500
input = 1
output = 2
[models.j]
provider = "sim"
json = "schema"
input = 1
output = 2
)toml";

}  // namespace

TEST_CASE_METHOD(MillTest,
                 "a trial compares models on the same documents, and is not paid for twice",
                 "[process]") {
  simulate("");
  env["MILL_TEST_KEY"] = "sk-trial-0123456789";
  configure(kTrialModels);
  write_texts("docs.jsonl", 60);
  const std::string trial = "trial summarise docs.jsonl --models m,n --sample 12 --format json";
  const auto ran = docmill(trial).json();
  CHECK(sent_count() == 24);
  std::map<std::string, std::int64_t> sent_to;
  for (const LogLine& line : sent()) {
    ++sent_to[line.model];
    CHECK(line.has_key);
  }
  CHECK(sent_to["m"] == 12);
  CHECK(sent_to["n"] == 12);
  const auto& models = ran.at("models");
  REQUIRE(models.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto name = models[i].at("model").get<std::string>();
    const auto totals = docmill("report trial/summarise-docs/" + name + " --format json").json();
    CHECK(models[i].at("documents") == 12);
    CHECK(models[i].at("done") == 12);
    CHECK(models[i].at("spent_usd") == totals.at("totals").at("cost_usd"));
  }

  // The same again is free, and a batch over all of it pays for what the trial did not.
  CHECK(docmill(trial).json() == ran);
  CHECK(sent_count() == 24);
  REQUIRE(docmill("run summarise docs.jsonl --models m --from-trial summarise-docs -o all.jsonl")
              .code == 0);
  CHECK(sent_count() == 24 + 48);
  CHECK(docmill("submit summarise docs.jsonl --batch x --models j --from-trial summarise-docs")
            .code == 2);

  const Ran table = docmill("trial summarise docs.jsonl --models m,n --sample 12");
  CHECK(table.out.find("12/12 (76-100 %)") != std::string::npos);
  CHECK(docmill("trial summarise docs.jsonl --models m,m").code == 2);
  CHECK(docmill("trial summarise docs.jsonl --models m,none").code == 2);
  CHECK(sent_count() == 24 + 48);
}

TEST_CASE_METHOD(MillTest, "a judge sees each pair in both orders, and --max-cost is for all of it",
                 "[process]") {
  simulate("");
  env["MILL_TEST_KEY"] = "sk-trial-0123456789";
  configure(kTrialModels);
  write_texts("docs.jsonl", 20);
  const auto judged =
      docmill("trial summarise docs.jsonl --models m,n --sample 10 --judge j --format json").json();
  REQUIRE(judged.at("verdicts").size() == 1);
  const auto& verdict = judged.at("verdicts")[0];
  CHECK(verdict.at("wins").get<int>() + verdict.at("ties").get<int>() +
            verdict.at("losses").get<int>() ==
        10);
  std::int64_t asked = 0;
  for (const LogLine& line : sent()) asked += line.model == "j";
  CHECK(asked == 20);

  CHECK(docmill("trial summarise docs.jsonl --models m,n --sample 10 --judge none").code == 2);
  // A pair that does not fit the judge is not judged by its parts.
  write("long.jsonl", json{{"id", "long"}, {"text", std::string(9'000, 'x') + " end."}}.dump());
  const Ran unjudged =
      docmill("trial summarise long.jsonl --models m,n --judge small --format json");
  CHECK(unjudged.err.find("2 comparisons are too long for small") != std::string::npos);
  CHECK(sent_count() == 42);

  // The cap holds over the models together: what the first spends, the second has not.
  const Ran capped = docmill(
      "trial summarise docs.jsonl --models m,n --sample 10 --batch c --instructions Briefly "
      "--max-cost 0.0000001");
  CHECK(capped.code != 0);
  CHECK(sent_count() == 42);
  // Nor does a trial of an earlier run, without a cap, pass one that it is given now.
  const auto spent = docmill("report --format json").json().at("totals").at("cost_usd");
  const Ran again =
      docmill("trial summarise docs.jsonl --models m,n --sample 20 --max-cost 0.0000001");
  CHECK(again.code == 4);
  CHECK(sent_count() == 42);
  CHECK(docmill("report --format json").json().at("totals").at("cost_usd") == spent);
}

TEST_CASE_METHOD(MillTest, "a cap on a batch that is there is kept or refused, never forgotten",
                 "[process]") {
  simulate("");
  env["MILL_TEST_KEY"] = "sk-trial-0123456789";
  configure(kTrialModels);
  write_texts("docs.jsonl", 3);
  const std::string submit = "submit summarise docs.jsonl --batch b --models m";
  REQUIRE(docmill(submit).code == 0);
  const Ran refused = docmill(submit + " --max-cost 5");
  CHECK(refused.code == 2);
  CHECK(refused.err.find("docmill resume b --max-cost 5") != std::string::npos);
  REQUIRE(docmill("work --drain").code == 0);
  CHECK(docmill("resume b --max-cost 5").code == 0);  // finished as it is
  CHECK(docmill(submit + " --max-cost 5").code == 0);
  CHECK(docmill(submit + " --max-cost 6 --dry-run").code == 2);
  CHECK(docmill(submit).code == 0);  // keeps the one that it has
  CHECK(status("b").at("max_cost_usd") == "5.00");
}

}  // namespace docmill::process_test
