// Dispatch end to end, over a real store with a scripted provider: where jobs go when models fail,
// what caps and brakes stop, and what `explain` says of it.

#include "base/money.h"
#include "report/explain.h"
#include "store/job_life.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

namespace {

// An answer that stopped at its limit.
const char* const kCutOff =
    R"({"model":"large","choices":[{"finish_reason":"length","message":{"content":"half"}}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5}})";

std::string explained(WorkerTest& test, const std::string& id, const std::string& batch = "b") {
  SqliteCommit commit;
  Database db(test.store, Access::read_only, commit);
  Explained what;
  what.batch = batch;
  what.lives = read_lives(db, test.batch(batch).id, id);
  REQUIRE_FALSE(what.lives.empty());
  return explain_text(what, false);
}

std::vector<std::int64_t> limits_asked(WorkerTest& test) {
  SqliteCommit commit;
  Database db(test.store, Access::read_only, commit);
  std::vector<std::int64_t> limits;
  SQLite::Statement rows(db.connection(), "SELECT max_output_tokens FROM attempt ORDER BY id");
  while (rows.executeStep()) limits.push_back(rows.getColumn(0).getInt64());
  return limits;
}

}  // namespace

TEST_CASE_METHOD(WorkerTest, "an answer that was cut off is asked for once more, with more room") {
  net.set_body("large", kCutOff);
  submit({"a document"});
  run_until_idle();
  // 1,024 for a summary, four times that, and then the other model.
  CHECK(limits_asked(*this) == std::vector<std::int64_t>{1024, 4096, 4096});
  CHECK(net.transcript() ==
        "00:00:00 large 200\n"
        "00:00:00 large 200\n"
        "00:00:00 small 200\n");
  CHECK(state("d1") == "done");
}

TEST_CASE_METHOD(WorkerTest, "a limit that the model does not have is not asked for") {
  models["large"].max_output_tokens = 1024;
  net.set_body("large", kCutOff);
  chain = {"large"};
  submit({"a document"});
  run_until_idle();
  CHECK(net.sent.size() == 1);
  CHECK(state("d1") == "failed");
}

TEST_CASE_METHOD(WorkerTest, "max_latency goes to the transport, and not from the chain's end") {
  Link quick("large");
  quick.max_latency_ms = 3000;
  chain = {quick, "small"};
  net.script("large", {-3});  // longer than any max_latency
  submit({"a document"});
  run_until_idle();
  CHECK(net.max_latency_ms == std::vector<std::int64_t>{3000, 0});
  CHECK(net.transcript() ==
        "00:00:00 large too slow\n"
        "00:00:00 small 200\n");
  CHECK(money().unknown_requests == 1);  // it was cut, so it may be billed
}

TEST_CASE_METHOD(WorkerTest, "max_wait leaves a lane that is too far behind") {
  models["large"].per_minute.requests = 6;  // one in ten seconds
  Link busy("large");
  busy.max_wait_ms = 15'000;
  chain = {busy, "small"};
  submit({"1", "2", "3", "4", "5"});
  run_until_idle();
  // The lane was behind since 0:00; at 0:15 those that still wait go on.
  CHECK(net.transcript() ==
        "00:00:00 large 200\n"
        "00:00:10 large 200\n"
        "00:00:15 small 200\n"
        "00:00:15 small 200\n"
        "00:00:15 small 200\n");
}

TEST_CASE_METHOD(WorkerTest, "too long goes to a larger context, refused to another vendor") {
  for (const char* key : {"gpt-a", "gpt-b", "claude-c"}) {
    Model model = models["large"];
    model.key = model.name = key;
    models[key] = model;
  }
  models["claude-c"].context_tokens = 1'000'000;
  chain = {"gpt-a", "gpt-b", "claude-c"};
  net.script("gpt-a", {413, 451});
  net.set_error(451, R"({"error":{"code":"content_policy_violation"}})");
  submit({"one"});
  run_until_idle();
  CHECK(net.transcript() ==
        "00:00:00 gpt-a 413\n"
        "00:00:00 claude-c 200\n");
  net.sent.clear();
  net.script("gpt-a", {403});
  net.set_error(403, R"({"error":{"code":"content_policy_violation","message":"no"}})");
  submit({"two"}, "c");
  run_until_idle();
  CHECK(net.transcript() ==
        "00:00:00 gpt-a 403\n"
        "00:00:00 claude-c 200\n");
}

TEST_CASE_METHOD(WorkerTest, "another model than the pinned one is no answer") {
  models["large"].pin = "large-0925";
  submit({"a document"});
  run_until_idle();
  CHECK(attempts()[0].outcome == "model_changed");
  CHECK(attempts()[0].cost_basis == "usage");  // it was paid for
  CHECK(attempts()[1].model == "small");
}

TEST_CASE_METHOD(WorkerTest, "a refused parameter is left out from then on, at no try") {
  models["large"].temperature = 0.5;
  chain = {"large"};
  net.set_error(400, R"({"error":{"code":"unsupported_value","param":"temperature",)"
                     R"("message":"does not support 0.5; only the default"}})");
  net.script("large", {400, 200});
  options.in_flight = 1;
  submit({"1", "2"});
  run_until_idle();
  CHECK(net.sent.size() == 3);
  CHECK(net.bodies[0].find("temperature") != std::string::npos);
  CHECK(net.bodies[1].find("temperature") == std::string::npos);
  CHECK(net.bodies[2].find("temperature") == std::string::npos);
  CHECK(counts().done == 2);
}

TEST_CASE_METHOD(WorkerTest, "a parameter that cannot be left out pauses its model") {
  models["large"].extra_body = R"({"seed":7})";
  chain = {"large"};
  net.set_error(400, R"({"error":{"code":"unsupported_parameter","param":"seed"}})");
  net.script("large", {400});
  submit({"1"});
  run_until_idle();
  CHECK(net.sent.size() == 1);
  CHECK(state("d1") == "ready");
}

TEST_CASE_METHOD(WorkerTest, "the daily cap lets jobs wait for the next day") {
  chain = {"large"};
  submit({"a document of some length"}, "measure");
  run_until_idle();
  const std::int64_t ceiling_pusd = attempts("measure")[0].ceiling_pusd.value();
  const std::int64_t cost_pusd = attempts("measure")[0].cost_pusd.value();
  options.caps.daily_pusd = cost_pusd + ceiling_pusd + cost_pusd / 2;
  options.drain = false;
  options.in_flight = 1;
  submit({"a document of some lengtA", "a document of some lengtB", "a document of some lengtC"});
  SqliteCommit commit;
  {
    const auto life = start_life(commit);
    for (int i = 0; i < 20'000; ++i) {
      life->worker.turn();
      life->transport.wait(life->worker.next_wake_ms());
      if (clock.now >= kTestStartMs + 86'400'000 + 60'000) break;
    }
    REQUIRE(counts().done == 3);
  }
  // The first fits beside what was spent; with its cost the second does not, until midnight.
  constexpr std::int64_t kTomorrowMs = kTestStartMs + 86'400'000;
  REQUIRE(net.sent.size() == 4);
  CHECK(net.sent[1].at_ms < kTomorrowMs);
  CHECK(net.sent[2].at_ms == kTomorrowMs);
  CHECK(net.sent[3].at_ms >= kTomorrowMs);
  CHECK_FALSE(batch().held_reason);
}

TEST_CASE_METHOD(WorkerTest, "a person's word on what is unknown makes room under a daily cap") {
  chain = {"large"};
  submit({"a document"}, "measure");
  run_until_idle();
  const AttemptRow measured = attempts("measure")[0];
  options.caps.daily_pusd = measured.cost_pusd.value() + measured.ceiling_pusd.value();
  options.drain = false;
  Link quick("large");
  quick.max_latency_ms = 3000;
  chain = {quick, "small"};
  net.script("large", {-3});
  submit({"a document"});
  SqliteCommit commit;
  const auto life = start_life(commit);
  const auto go_on = [&] {
    for (int i = 0; i < 20; ++i) {
      life->worker.turn();
      life->transport.wait(clock.now + 1000);
    }
  };
  go_on();
  CHECK(net.sent.size() == 2);  // the cut one may have cost all that was left of the day
  CHECK(state("d1") == "ready");
  {
    Database other(store, Access::read_write, commit);
    JobQueue queue(other, clock, {});
    Transaction transaction(other);
    Word nothing;
    nothing.cost_basis = "zero";
    REQUIRE(queue.resolve(attempts()[0].id, batch().id, nothing));
    transaction.commit();
  }
  go_on();
  CHECK(net.sent.size() == 3);
  CHECK(state("d1") == "done");
}

TEST_CASE_METHOD(WorkerTest, "caps by tenant bind that tenant alone, and survive a restart") {
  chain = {"large"};
  submit({"a document"}, "before");
  run_until_idle();
  const std::int64_t ceiling_pusd = attempts("before")[0].ceiling_pusd.value();
  options.caps.tenants["default"].monthly_pusd = ceiling_pusd;  // what was spent leaves too little
  submit({"a document"});
  run_until_idle();
  CHECK(net.sent.size() == 1);
  CHECK(state("d1") == "ready");
  options.caps.tenants.clear();
  options.caps.tenants["another"].monthly_pusd = 1;
  run_until_idle();
  CHECK(state("d1") == "done");
}

TEST_CASE_METHOD(WorkerTest,
                 "a whole reply is an answer whatever its 2xx, and unbilled it is not free") {
  task = "requests";
  chain = {"large"};
  const std::string usage = R"("usage":{"prompt_tokens":10,"completion_tokens":5})";
  const std::string choices = R"("choices":[{"finish_reason":"stop","message":{"content":"x"}}])";
  SECTION("an error of null is none") {
    net.set_body("large", R"({"error":null,)" + choices + "," + usage + "}");
    submit({R"({"messages":[{"role":"user","content":"x"}]})"});
    run_until_idle();
    CHECK(attempts()[0].cost_basis == "usage");
  }
  SECTION("no usage: nobody knows what it cost") {
    net.set_body("large", "{" + choices + "}");
    submit({R"({"messages":[{"role":"user","content":"x"}]})"});
    run_until_idle();
    CHECK(attempts()[0].cost_basis == "unknown");
    CHECK(batch().reserved_pusd == attempts()[0].ceiling_pusd);
  }
  CHECK(state("d1") == "done");
}

TEST_CASE_METHOD(WorkerTest, "a whole reply without an end, or of another model, is no answer") {
  task = "requests";
  chain = {"large"};
  const auto outcome_of = [&](const std::string& body, const std::string& name) {
    net.set_body("large", body);
    submit({R"({"messages":[{"role":"user","content":"x"}]})"}, name);
    run_until_idle();
    return attempts(name)[0].outcome;
  };
  const std::string head = R"({"model":"m","choices":[{"message":{"content":"x"},"finish_reason":)";
  CHECK(outcome_of(head + "null}]}", "open") == "incomplete");
  CHECK(outcome_of(head + R"("error"}]})", "error") == "incomplete");
  CHECK(outcome_of(head + R"("tool_calls"}]})", "tools") == "answered");
  CHECK(outcome_of(head + R"("length"}]})", "cut off") == "answered");
  models["large"].pin = "m-2";
  CHECK(outcome_of(head + R"("stop"}]})", "pinned") == "model_changed");
}

TEST_CASE_METHOD(WorkerTest,
                 "under a cap a tier without a price counts as the most it can have cost") {
  chain = {"large"};
  net.set_body("large", R"({"choices":[{"finish_reason":"stop","message":{"content":"x"}}],)"
                        R"("usage":{"prompt_tokens":10,"completion_tokens":5},)"
                        R"("service_tier":"priority"})");
  submit({"without a cap"}, "free");
  run_until_idle();
  const std::int64_t ceiling_pusd = attempts("free")[0].ceiling_pusd.value();
  CHECK(attempts("free")[0].cost_basis == "unpriced");
  cap_pusd = 2 * ceiling_pusd + ceiling_pusd / 2;
  submit({"without a cap", "without a caq", "without a car", "without a cas"});
  run_until_idle();
  CHECK(counts().done == 2);
  CHECK(batch().reserved_pusd == 2 * ceiling_pusd);
  CHECK(batch().held_reason);
  CHECK(attempts()[0].cost_basis == "unknown");
}

TEST_CASE_METHOD(WorkerTest, "usage that no integer holds the cost of holds the batch") {
  chain = {"large"};
  models["large"].price = ModelPrice{kMaxPricePusd, kMaxPricePusd, kMaxPricePusd, kMaxPricePusd};
  options.in_flight = 4;
  net.set_body("large", R"({"choices":[{"finish_reason":"stop","message":{"content":"x"}}],)"
                        R"("usage":{"prompt_tokens":1000000000,"completion_tokens":1000000000}})");
  std::vector<std::string> texts;
  for (int i = 0; i < 20; ++i) texts.push_back(std::to_string(i));
  submit(texts);
  run_until_idle();
  CHECK(batch().held_reason);
  CHECK(batch().spent_pusd > 0);
  CHECK(net.sent.size() < 20);
  CHECK(broken_invariant().empty());
}

TEST_CASE_METHOD(WorkerTest, "a request is billed by the price of when it was sent") {
  chain = {"large"};
  models["large"].price.reset();
  net.latency_ms = 5000;
  SqliteCommit commit;
  const auto set_price = [&](std::int64_t pusd) {
    Database db(store, Access::read_write, commit);
    PriceList list(db);
    Transaction transaction(db);
    list.add({{}, "p", "large", clock.now, "set", "test", ModelPrice{pusd, pusd, pusd, pusd}});
    transaction.commit();
  };
  submit({"a document"});
  set_price(10);
  {
    const auto life = start_life(commit);
    life->worker.turn();
    REQUIRE(net.sent.size() == 1);
    clock.now += 1000;
    set_price(1'000'000);
    life->worker.run([] {});
  }
  REQUIRE(state("d1") == "done");
  const std::int64_t cheap_pusd = attempts()[0].cost_pusd.value();
  submit({"a documenu"}, "later");
  run_until_idle();
  CHECK(attempts("later")[0].cost_pusd.value() == 100'000 * cheap_pusd);
}

TEST_CASE_METHOD(WorkerTest,
                 "a document that a filter forbids fails once others have shown that it is it") {
  chain = {"large"};
  options.drain = false;
  options.in_flight = GENERATE(1, 3);
  net.status_of["poison"] = 403;
  submit({"poison", "1", "2", "3", "4"});
  SqliteCommit commit;
  const auto life = start_life(commit);
  while (clock.now < kTestStartMs + 2 * options.pause_probe_ms && counts().ended() < 5) {
    life->worker.turn();
    life->transport.wait(std::min(life->worker.next_wake_ms(), clock.now + 1000));
  }
  CHECK(state("d1") == "failed");
  CHECK(counts().done == 4);
  CHECK(attempts()[0].outcome == "forbidden");
}

TEST_CASE_METHOD(WorkerTest,
                 "documents that are refused over and over do not stand before the others") {
  chain = {"large"};
  options.in_flight = 8;
  options.drain = false;
  net.latency_ms = 300;
  std::vector<std::string> texts;
  for (int i = 0; i < 64; ++i) texts.push_back(std::to_string(i));
  for (const char* poison : {"0", "1", "2"}) net.status_of[poison] = 429;
  net.set_header("large", "retry-after", "2");
  submit(texts);
  SqliteCommit commit;
  const auto life = start_life(commit);
  while (clock.now < kTestStartMs + 120'000 && counts().done < 61) {
    life->worker.turn();
    life->transport.wait(std::min(life->worker.next_wake_ms(), clock.now + 1000));
  }
  CHECK(counts().done == 61);
}

TEST_CASE("days and months are UTC") {
  constexpr std::int64_t kDayMs = 86'400'000;
  const std::int64_t noon_ms = kTestStartMs + 30 * kDayMs + kDayMs / 2;  // 31 January 2026
  CHECK(day_of(noon_ms) == kTestStartMs + 30 * kDayMs);
  CHECK(month_of(noon_ms) == kTestStartMs);
  CHECK(month_after(noon_ms) == kTestStartMs + 31 * kDayMs);
  CHECK(month_after(kTestStartMs + 31 * kDayMs) == kTestStartMs + 59 * kDayMs);  // February
}

TEST_CASE_METHOD(WorkerTest, "under a cap a model without a bound is not asked") {
  models["large"].unbounded_reasoning = true;
  cap_pusd = 1'000'000'000'000;
  chain = {"large"};
  submit({"1"});
  run_until_idle();
  CHECK(net.sent.empty());
  REQUIRE(batch().held_reason);
  CHECK(batch().held_reason->find("unbounded_reasoning") != std::string::npos);
}

TEST_CASE_METHOD(WorkerTest, "the brake holds a batch most of whose documents fail") {
  chain = {"large"};
  net.script("large", {400});
  std::vector<std::string> texts;
  for (int i = 0; i < 150; ++i) texts.push_back("document " + std::to_string(i));
  options.in_flight = 1;
  submit(texts);
  run_until_idle();
  REQUIRE(batch().held_reason);
  CHECK(*batch().held_reason ==
        "its brake: 100 of the last 100 documents failed, 100 of them bad_request");
  CHECK(net.sent.size() == 100);
}

TEST_CASE("the brake counts the last hundred and begins anew") {
  Brake brake(50);
  for (int i = 0; i < 50; ++i) CHECK_FALSE(brake.note(""));
  for (int i = 0; i < 49; ++i) CHECK_FALSE(brake.note("truncated"));
  CHECK(brake.note("truncated") ==
        "its brake: 50 of the last 100 documents failed, 50 of them truncated");
  CHECK_FALSE(brake.note("truncated"));
  Brake off(0);
  for (int i = 0; i < 300; ++i) CHECK_FALSE(off.note("truncated"));
  CHECK(parse_brake("50%") == 50);
  CHECK(parse_brake("7") == 7);
  CHECK(parse_brake("off") == 0);
  for (const char* bad : {"", "0%", "101", "50%%", "-5", "half"}) CHECK_FALSE(parse_brake(bad));
}

TEST_CASE_METHOD(WorkerTest, "flex is billed by the tier that the reply names") {
  models["large"].service_tier = "flex";
  models["large"].price->variants = {{"flex", 0, "", {5, 5, 5, 5}}};
  chain = {"large"};
  options.in_flight = 1;
  const auto answer = [](const std::string& tier) {
    return R"({"choices":[{"finish_reason":"stop","message":{"content":"x"}}],)"
           R"("usage":{"prompt_tokens":10,"completion_tokens":5},"service_tier":")" +
           tier + "\"}";
  };
  net.set_body("large", answer("flex"));
  submit({"1"});
  run_until_idle();
  net.set_body("large", answer("default"));
  submit({"2"}, "c");
  run_until_idle();
  CHECK(net.bodies[0].find(R"("service_tier":"flex")") != std::string::npos);
  CHECK(attempts("b")[0].cost_pusd == 15 * 5);
  CHECK(attempts("c")[0].cost_pusd == 15 * 10);
  CHECK(attempts("b")[0].ceiling_pusd >= attempts("c")[0].cost_pusd);  // the dearest that applies
}

TEST_CASE_METHOD(WorkerTest, "explain tells waits, tries, the next model and what each cost") {
  net.latency_ms = 400;
  options.breaker_failures = 100;
  options.policy.retry_base_ms = 0;
  net.script("large", {429, -1, 503, 503, 503, 503, 503});
  net.set_header("large", "retry-after", "20");
  options.policy.max_tries = 2;
  submit({"sixteen bytes ok"});
  run_until_idle();
  const std::int64_t ceiling_pusd = attempts()[1].ceiling_pusd.value();
  CHECK(explained(*this, "d1") ==
        "d1: done by small, $0.000000000015 and at most $" + exact_usd(ceiling_pusd) +
            " more\n"
            "2026-01-01\n"
            "00:00:00.0  queued: 16 bytes of text, about 4 tokens\n"
            "00:00:00.0\n"
            "  #1 large  rate_limited after 0.4 s: HTTP 429: scripted; not a try   $0\n"
            "00:00:20.4  retried after 20.0 s\n"
            "  #2 large  cut after 0.4 s: connection lost before the answer was whole   $0 to $" +
            exact_usd(ceiling_pusd) +
            "\n"
            "00:00:40.8  retried after 20.0 s\n"
            "  #3 large  overloaded after 0.4 s: HTTP 503: scripted   $0\n"
            "00:00:41.2  next in the chain\n"
            "  #4 small  answered after 0.4 s, 10 in, 5 out, stop   $0.000000000015\n"
            "00:00:41.6  result stored: docmill results b --id d1\n");
}

TEST_CASE_METHOD(WorkerTest, "explain tells an end without a result, and what was never sent") {
  chain = {"large"};
  net.script("large", {400});
  submit({"1"});
  CHECK(explained(*this, "d1") ==
        "d1: queued, $0\n"
        "2026-01-01\n"
        "00:00:00.0  queued: 1 bytes of text, about 1 tokens\n"
        "waits for its turn\n");
  run_until_idle();
  CHECK(explained(*this, "d1") ==
        "d1: failed (bad_request), $0\n"
        "2026-01-01\n"
        "00:00:00.0  queued: 1 bytes of text, about 1 tokens\n"
        "00:00:00.0\n"
        "  #1 large  bad_request after 0.0 s: HTTP 400: scripted   $0\n"
        "00:00:00.0  failed: HTTP 400: scripted\n"
        "  again: docmill retry b --id d1\n");
}
