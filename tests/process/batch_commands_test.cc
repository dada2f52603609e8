// What a person does to a batch: pause, resume, cancel, retry, settle, submit again.

#include <fmt/format.h>

#include "base/money.h"
#include "simulate/answer.h"
#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;

constexpr const char* kGoodAndBad = R"toml(
[worker]
in_flight = 8
max_tries = 2
retry_base = "10ms"
retry_cap = "20ms"
breaker_cooldown = "100ms"
[defaults]
chain = ["good"]
[providers.sim]
base_url = "@URL@"
[models.good]
provider = "sim"
input = 0.42
output = 0.84
[models.refusing]
provider = "sim"
name = "m+400"
input = 0.42
output = 0.84
[models.slow]
provider = "sim"
name = "m+latency=20s"
input = 0.42
output = 0.84
[models.broken_off]
provider = "sim"
name = "m+cut"
stream = true
input = 0.42
output = 0.84
[models.lossy]
provider = "sim"
name = "m+reset"
input = 0.42
output = 0.84
)toml";

class BatchCommandsTest : public MillTest {
 protected:
  BatchCommandsTest() {
    simulate("--latency 5ms");
    configure(kGoodAndBad);
  }
  std::int64_t jobs(const std::string& state) {
    return StoreView(store_file).number("SELECT count(*) FROM job WHERE state = '" + state + "'");
  }
  std::int64_t store_number(const std::string& sql) { return StoreView(store_file).number(sql); }
};

}  // namespace

TEST_CASE_METHOD(BatchCommandsTest, "a command about an unknown batch names the nearest",
                 "[process]") {
  write("a.txt", "A text.");
  REQUIRE(docmill("submit summarise a.txt --batch invoices").code == 0);
  for (const char* command :
       {"status", "wait", "results", "report", "retry", "pause", "resume", "cancel", "settle"}) {
    const Ran ran = docmill(fmt::format("{} invoicse", command));
    CAPTURE(command, ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find("there is no batch \"invoicse\"; did you mean \"invoices\"?") !=
          std::string::npos);
    CHECK(ran.out.empty());
  }
}

TEST_CASE_METHOD(BatchCommandsTest, "a paused batch waits until it is resumed", "[process]") {
  const std::vector<Text> texts = write_texts("docs.jsonl", 20);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  REQUIRE(docmill("pause b").code == 0);

  docmill("work --drain");
  CHECK(sent_count() == 0);
  CHECK(docmill("wait b").code == 4);
  CHECK(status("b").at("state") == "paused");
  CHECK(status("b").at("waits").at(0).at("next_step") == "docmill resume b");

  // A worker that runs takes the pause away at once, too.
  Process worker = start("work");
  CHECK(docmill("resume b").code == 0);
  CHECK(docmill("wait b --timeout 20s").code == 0);
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(docmill("resume b").code == 2);
}

TEST_CASE_METHOD(BatchCommandsTest, "a cancelled batch keeps its answers and starts nothing more",
                 "[process]") {
  simulate("--latency 400ms");
  configure(kGoodAndBad);
  write_texts("docs.jsonl", 50);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() == 8; }));

  CHECK(docmill("cancel b").code == 0);

  CHECK(docmill("wait b --timeout 20s").code == 1);
  REQUIRE(becomes_true(5000, [&] { return jobs("running") == 0; }));
  CHECK(sent_count() == 8);
  CHECK(jobs("done") == 8);
  CHECK(jobs("cancelled") == 42);
  CHECK(store_number("SELECT count(*) FROM attempt WHERE cost_basis != 'usage'") == 0);
  CHECK(docmill("results b").lines().size() == 50);
  const Ran again = docmill("submit summarise docs.jsonl --batch b");
  CHECK(again.code == 2);
  CHECK(again.err.find("was cancelled") != std::string::npos);
}

TEST_CASE_METHOD(BatchCommandsTest, "cancel --now cuts what is in flight and keeps its ceiling",
                 "[process]") {
  write_texts("docs.jsonl", 20);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b --models slow").code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() == 8; }));
  const std::int64_t start_ms = wall_ms();

  CHECK(docmill("cancel b --now").code == 0);

  REQUIRE(becomes_true(5000, [&] { return jobs("running") == 0; }));
  CHECK(wall_ms() - start_ms < 5000);
  CHECK(jobs("cancelled") == 20);
  StoreView store(store_file);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'") == 8);
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  CHECK(breaches_of_money(store, sent(), {{"m+latency=20s", {420'000, 420'000, 840'000}}}) ==
        Breaches());
}

TEST_CASE_METHOD(BatchCommandsTest, "retry takes a class of failures, and another chain",
                 "[process]") {
  const std::vector<Text> texts = write_texts("docs.jsonl", 10);
  CHECK(docmill("run summarise docs.jsonl --batch b --models refusing").code == 1);
  CHECK(jobs("failed") == 10);
  CHECK(store_number("SELECT count(*) FROM job WHERE error_class = 'bad_request'") == 10);

  CHECK(docmill("retry b --class server_error").err.find("b: 0 documents") != std::string::npos);
  CHECK(jobs("failed") == 10);
  CHECK(docmill("retry b --class bad_request --id doc-00003").err.find("b: 1 document ") !=
        std::string::npos);
  CHECK(jobs("ready") == 1);
  CHECK(docmill("work --drain").code == 1);
  CHECK(docmill("retry b --class bad_request --models good").code == 0);
  CHECK(docmill("work --drain").code == 0);

  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  CHECK(sent_count() == 21);
}

TEST_CASE_METHOD(BatchCommandsTest, "settle closes unknown attempts on a person's word",
                 "[process]") {
  write_texts("docs.jsonl", 4);
  CHECK(docmill("run summarise docs.jsonl --batch b --models lossy").code == 1);
  const auto unknown =
      StoreView(store_file).rows("SELECT id, ceiling_pusd FROM attempt WHERE outcome = 'cut'");
  REQUIRE(unknown.size() == 8);
  const Ran list = docmill("settle b");
  CHECK(list.code == 0);
  CHECK(std::count(list.out.begin(), list.out.end(), '\n') == 9);

  CHECK(docmill("settle b --attempt 999999 --zero").code == 2);
  CHECK(docmill("settle b --all").code == 2);
  CHECK(docmill(fmt::format("settle b --attempt {} --cost 0.25", unknown[0][0])).code == 0);
  CHECK(docmill(fmt::format("settle b --attempt {} --ceiling", unknown[1][0])).code == 0);
  CHECK(docmill("settle b --all --zero").code == 0);

  StoreView store(store_file);
  CHECK(store.number("SELECT reserved_pusd FROM batch") == 0);
  CHECK(store.number("SELECT spent_pusd FROM batch") ==
        parse_usd("0.25").value() + std::stoll(unknown[1][1]));
  const json cost = status("b").at("cost");
  CHECK(cost.at("possible_usd") == "0.00");
  CHECK(cost.at("measured_usd") == exact_usd(store.number("SELECT spent_pusd FROM batch")));
}

TEST_CASE_METHOD(BatchCommandsTest,
                 "late usage is priced as when it was sent, an estimate is named", "[process]") {
  write_texts("docs.jsonl", 2);
  CHECK(docmill("run summarise docs.jsonl --batch b --models broken_off").code == 1);
  const auto unknown =
      StoreView(store_file).rows("SELECT id, outcome FROM attempt WHERE cost_basis = 'unknown'");
  REQUIRE(unknown.size() >= 3);
  const std::string first = "settle b --attempt " + unknown[0][0];
  CHECK(docmill(first + " --usage '{\"prompt_tokens\":12}'").code == 2);
  CHECK(docmill(first + " --usage nonsense").code == 2);
  CHECK(docmill("settle b --all --usage '{}'").code == 2);
  write("late.json", R"({"id":"x","usage":{"prompt_tokens":1000,"completion_tokens":200,
                         "prompt_tokens_details":{"cached_tokens":100}}})");
  CHECK(docmill(first + " --usage @late.json").code == 0);
  CHECK(docmill("settle b --attempt " + unknown[1][0] + " --estimate").code == 0);
  CHECK(docmill("settle b --all --zero").code == 0);

  StoreView store(store_file);
  const auto row = store.rows(
      "SELECT cost_basis, cost_pusd, fresh_tokens, cached_tokens, output_tokens, outcome, "
      "usage_json FROM attempt WHERE id = " +
      unknown[0][0]);
  CHECK(row[0][0] == "usage");
  CHECK(row[0][1] == std::to_string(1000 * 420'000 + 200 * 840'000));
  CHECK(row[0][2] + "+" + row[0][3] + ">" + row[0][4] == "900+100>200");
  CHECK(row[0][5] == unknown[0][1]);  // why it was unknown stays known
  CHECK(row[0][6].find("cached_tokens") != std::string::npos);
  const auto estimated = store.rows(
      "SELECT cost_basis, cost_pusd, fresh_tokens IS NULL, usage_json FROM attempt "
      "WHERE id = " +
      unknown[1][0]);
  CHECK(estimated[0][0] == "estimate");
  CHECK(std::stoll(estimated[0][1]) > 0);
  CHECK(estimated[0][2] == "1");
  CHECK(estimated[0][3].find("\"estimated\":true") != std::string::npos);
  CHECK(store.number("SELECT reserved_pusd FROM batch") == 0);
  CHECK(store.number("SELECT spent_pusd FROM batch") ==
        std::stoll(row[0][1]) + std::stoll(estimated[0][1]));
}

TEST_CASE_METHOD(BatchCommandsTest, "a changed document is done again and its old result stands",
                 "[process]") {
  write("docs/a.txt", "The first version.");
  write("docs/b.txt", "Another text.");
  REQUIRE(docmill("run summarise docs --batch b --out out").code == 0);
  const json old_output = docmill("results b --id docs/a.txt").lines().at(0).at("output");

  write("docs/a.txt", "The second version.");
  const Ran submit = docmill("submit summarise docs --batch b");
  CHECK(submit.err.find("0 new, 1 changed, 1 unchanged") != std::string::npos);
  CHECK(docmill("results b --id docs/a.txt").lines().at(0).at("output") == old_output);

  CHECK(docmill("work --drain").code == 0);
  const auto system = json::parse(StoreView(store_file).text("SELECT spec FROM batch"))
                          .at("system")
                          .get<std::string>();
  const json line = docmill("results b --id docs/a.txt").lines().at(0);
  CHECK(line.at("output") == simulated_answer(system, "The second version."));
  CHECK(docmill("results b").lines().size() == 2);
  CHECK(sent_count() == 3);
  CHECK(docmill("results b --out out").code == 0);
  CHECK(read(folder / "out/a.txt") == line.at("output").get<std::string>() + "\n");
}

TEST_CASE_METHOD(BatchCommandsTest, "a batch's name stands for one task, one prompt and one chain",
                 "[process]") {
  write("a.txt", "A text.");
  write("twice.jsonl",
        "{\"id\": \"x\", \"text\": \"One.\"}\n{\"id\": \"x\", \"text\": \"Two.\"}\n");
  REQUIRE(docmill("submit translate a.txt --to German --batch b").code == 0);
  const struct {
    const char* words;
    const char* said;
  } others[] = {
      {"submit translate a.txt --to French --batch b", "--to was \"German\""},
      {"submit summarise a.txt --batch b", "its task is translate"},
      {"submit translate a.txt --to German --batch b --models refusing", "its chain is"},
      {"submit translate a.txt --to German --batch b --tenant acme", "for tenant default"},
      {"submit translate a.txt --to German --batch b --limit 0", "--limit"},
      {"submit summarise a.txt no-such-file --batch c", "no-such-file"},
      {"submit summarise twice.jsonl --batch c", "\"x\" comes twice"},
      {"report --usage nofile", "nofile"},
      {"report --reprice nofile", "nofile"},
      {"prices import nofile", "nofile"},
      {"retry b --id nobody", "no failed or held document \"nobody\""}};
  for (const auto& other : others) {
    const Ran ran = docmill(other.words);
    CAPTURE(other.words, ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(other.said) != std::string::npos);
  }
  CHECK(StoreView(store_file).number("SELECT count(*) FROM job WHERE batch_id = 1") == 1);
  CHECK(StoreView(store_file).number("SELECT count(*) FROM batch") == 1);  // nothing of c is left
}

// The second once replaced the first, and nobody was told.
TEST_CASE_METHOD(BatchCommandsTest, "one id from two sources is refused, also in a second submit",
                 "[process]") {
  write("one/x.txt", "The first.");
  write("two/x.txt", "Quite another.");
  CHECK(docmill("submit summarise one/x.txt two/x.txt --batch a").code == 2);
  REQUIRE(docmill("submit summarise one/x.txt --batch b").code == 0);

  const Ran second = docmill("submit summarise two/x.txt --batch b");

  CHECK(second.code == 2);
  CHECK(second.err.find("\"x.txt\"") != std::string::npos);
  REQUIRE(docmill("work --drain --batch b").code == 0);
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", {{"x.txt", "The first."}}) == Breaches());
}

TEST_CASE_METHOD(BatchCommandsTest, "run beside a worker submits, follows and hands out",
                 "[process]") {
  write_texts("docs.jsonl", 30);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return docmill("status --json").code == 0; }));

  const Ran run = docmill("run summarise docs.jsonl --batch b");

  CHECK(run.code == 0);
  CHECK(run.lines().size() == 30);
  CHECK(run.err.find(fmt::format("pid {}", worker.pid())) != std::string::npos);
  CHECK(sent_count() == 30);
}

}  // namespace docmill::process_test
