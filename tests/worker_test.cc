#include "worker/worker.h"

#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

TEST_CASE_METHOD(WorkerTest, "a document is answered, and the bill is its usage times the price") {
  submit({"hello"});
  run_until_idle();
  CHECK(net.transcript() == "00:00:00 large 200\n");
  CHECK(state("d1") == "done");
  CHECK(output("d1") == "answer to hello");
  CHECK(money().measured_pusd == 15 * 10);
  CHECK(batch().finished_at_ms == clock.now);
  CHECK(broken_invariant() == "");
}

TEST_CASE_METHOD(WorkerTest, "falls back when a model keeps failing") {
  options.policy.max_tries = 3;
  options.policy.retry_base_ms = 0;
  net.script("large", {500, 500, 500});
  submit({"hello"});
  run_until_idle();
  CHECK(net.transcript() ==
        "00:00:00 large 500\n"
        "00:00:00 large 500\n"
        "00:00:00 large 500\n"
        "00:00:00 small 200\n");
  const auto rows = attempts();
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].kind == "first");
  CHECK(rows[2].kind == "retry");
  CHECK(rows[3].kind == "fallback");
  CHECK(rows[2].cost_basis == "zero");
  CHECK(money().measured_pusd == 15 * 1);
}

TEST_CASE_METHOD(WorkerTest, "waits as long as a 429 asks, and starts nothing on that lane") {
  chain = {"large"};
  options.in_flight = 1;
  net.script("large", {429, 200});
  net.set_header("large", "retry-after", "20");
  submit({"one", "two"});
  run_until_idle();
  const std::string said = net.transcript();
  CHECK(said.substr(0, 19) == "00:00:00 large 429\n");
  CHECK(said.find("00:00:2") == 19);
  CHECK(counts().done == 2);
  CHECK(attempts()[0].outcome == "rate_limited");
}

TEST_CASE_METHOD(WorkerTest,
                 "a cut that may be billed is tried once, then goes to the next model") {
  net.script("large", {-1});
  submit({"hello"});
  run_until_idle();
  REQUIRE(net.sent.size() == 3);
  CHECK(net.sent[1].model == "large");
  CHECK(net.sent[2].model == "small");
  const BatchMoney after = money();
  CHECK(after.unknown_requests == 2);
  CHECK(after.possible_pusd == *attempts()[0].ceiling_pusd * 2);
  CHECK(after.measured_pusd == 15);
  CHECK(broken_invariant() == "");
}

TEST_CASE_METHOD(WorkerTest, "a job whose every model fails is failed with the last reason") {
  options.policy.max_tries = 1;
  net.script("large", {503});
  net.script("small", {400});
  submit({"hello"});
  run_until_idle();
  CHECK(state("d1") == "failed");
  CHECK(counts().failed == 1);
  CHECK(batch().finished_at_ms.has_value());
}

TEST_CASE_METHOD(WorkerTest, "a bad key pauses the provider; no document fails for it") {
  net.script("large", {401});
  chain = {"large"};
  submit({"one", "two", "three"});
  options.in_flight = 1;
  run_until_idle();
  CHECK(net.sent.size() == 1);
  CHECK(counts().ready == 3);
  CHECK(counts().failed == 0);

  // The pause outlives the worker. The next one asks with one document, and again is told no.
  run_until_idle();
  CHECK(net.sent.size() == 2);
  CHECK(counts().ready == 3);

  net.script("large", {200});
  run_until_idle();
  CHECK(counts().done == 3);
}

TEST_CASE_METHOD(WorkerTest,
                 "a paused provider is asked again every ten minutes, by one document") {
  net.script("large", {402, 402, 200});
  chain = {"large"};
  submit({"one", "two"});
  options.in_flight = 1;
  options.drain = false;
  SqliteCommit commit;
  {
    const auto life = start_life(commit);
    life->worker.run([&] {
      if (counts().done == 2) life->worker.stop();
    });
  }
  CHECK(net.transcript() ==
        "00:00:00 large 402\n"
        "00:10:00 large 402\n"
        "00:20:00 large 200\n"
        "00:20:00 large 200\n");
}

TEST_CASE_METHOD(WorkerTest, "a model that is down is passed over while the chain goes on") {
  options.in_flight = 1;
  net.script("large", {404});
  submit({"one", "two"});
  run_until_idle();
  CHECK(net.transcript() ==
        "00:00:00 large 404\n"
        "00:00:00 small 200\n"
        "00:00:00 small 200\n");
}

TEST_CASE_METHOD(WorkerTest, "a failing model rests, and one probe brings it back") {
  options.in_flight = 1;
  options.policy.max_tries = 1;
  options.breaker_failures = 2;
  net.script("large", {500, 500, 200});
  net.latency_ms = 10'000;
  submit({"1", "2", "3", "4", "5", "6"});
  run_until_idle();
  CHECK(net.transcript() ==
        "00:00:00 large 500\n"
        "00:00:10 small 200\n"
        "00:00:20 large 500\n"
        "00:00:30 small 200\n"
        "00:00:40 small 200\n"
        "00:00:50 small 200\n"
        "00:01:00 large 200\n"
        "00:01:10 large 200\n");
}

// The whole pool was sent at once to a host that nobody had reached yet: 64 threads looked up one
// name.
TEST_CASE_METHOD(WorkerTest, "one request makes the first connection, and the rest follow it") {
  net.is_connected = false;
  net.latency_ms = 1000;
  submit({"1", "2", "3"});
  SqliteCommit commit;
  {
    const auto life = start_life(commit);
    life->worker.turn();
    CHECK(net.sent.size() == 1);
    life->worker.turn();
    CHECK(net.sent.size() == 1);
    net.is_connected = true;
    life->worker.turn();
    CHECK(net.sent.size() == 3);
  }
}

TEST_CASE_METHOD(WorkerTest, "requests a minute are kept to") {
  models["large"].per_minute.requests = 60;
  chain = {"large"};
  submit({"1", "2", "3", "4", "5"});
  run_until_idle();
  // No burst at the start: nothing was saved up for it.
  CHECK(net.transcript() ==
        "00:00:00 large 200\n"
        "00:00:01 large 200\n"
        "00:00:02 large 200\n"
        "00:00:03 large 200\n"
        "00:00:04 large 200\n");
}

TEST_CASE_METHOD(WorkerTest, "a restart does not burst past the limit") {
  models["large"].per_minute.requests = 60;
  chain = {"large"};
  net.dies_after_sends = 2;
  submit({"1", "2", "3"});
  SqliteCommit commit;
  REQUIRE(live_until_death(commit));
  run_until_idle();
  REQUIRE(net.sent.size() == 4);
  CHECK(net.sent[2].at_ms == kTestStartMs + 1000);  // two seconds' worth may go at once
  CHECK(net.sent[3].at_ms == kTestStartMs + 2000);
}

TEST_CASE_METHOD(WorkerTest, "at a cap the batch is held, with the amount, and nothing is passed") {
  chain = {"large"};
  submit({"a document of some length"});
  run_until_idle();
  const std::int64_t ceiling_pusd = *attempts()[0].ceiling_pusd;

  // Room for one ceiling and a little of another.
  cap_pusd = ceiling_pusd + 20;
  submit({"a document of some length", "short", "a document of some length, too"}, "capped");
  options.in_flight = 3;
  run_until_idle();
  const Batch held = batch("capped");
  CHECK(held.held_reason.has_value());
  CHECK(held.spent_pusd + held.reserved_pusd <= *held.cap_pusd);
  CHECK(counts("capped").done >= 1);
  CHECK(counts("capped").ready >= 1);
}

TEST_CASE_METHOD(WorkerTest,
                 "an unpriced model is not asked under a cap, and counted without one") {
  models["large"].price.reset();
  chain = {"large"};
  cap_pusd = 1'000'000;
  submit({"hello"});
  run_until_idle();
  CHECK(net.sent.empty());
  CHECK(batch().held_reason->find("no price") != std::string::npos);

  cap_pusd.reset();
  submit({"hello"}, "free");
  run_until_idle();
  CHECK(state("d1", "free") == "done");
  CHECK(money("free").unpriced_requests == 1);
  CHECK(money("free").measured_pusd == 0);
}

TEST_CASE_METHOD(WorkerTest, "what is in flight at a stop is kept, and nothing more is started") {
  net.latency_ms = 1000;
  options.in_flight = 2;
  options.drain = false;
  submit({"1", "2", "3"});
  SqliteCommit commit;
  {
    const auto life = start_life(commit);
    life->worker.turn();
    life->worker.stop();
    life->worker.run([] {});
  }
  CHECK(net.sent.size() == 2);
  CHECK(counts().done == 2);
  CHECK(counts().ready == 1);
  CHECK(money().unknown_requests == 0);
}

TEST_CASE_METHOD(WorkerTest, "a stop that takes too long ends what is in flight as unknown") {
  net.latency_ms = 500'000;
  options.drain = false;
  submit({"1"});
  SqliteCommit commit;
  {
    const auto life = start_life(commit);
    life->worker.turn();
    life->worker.stop();
    life->worker.run([] {});
  }
  CHECK(clock.now == kTestStartMs + options.stop_timeout_ms);
  CHECK(counts().ready == 1);
  CHECK(money().unknown_requests == 1);
  CHECK(attempts()[0].outcome == "aborted");
}

TEST_CASE_METHOD(WorkerTest, "a life that ends in order leaves no WAL to read") {
  submit({"hello"});
  run_until_idle();
  CHECK(std::filesystem::file_size(store.string() + "-wal") == 0);
}

TEST_CASE_METHOD(WorkerTest, "batches of one tenant take turns, whatever their size") {
  net.latency_ms = 1000;
  options.in_flight = 2;
  chain = {"large"};
  submit(std::vector<std::string>(20, "long batch"), "long");
  submit({"x", "y"}, "short");
  run_until_idle();
  int position = 0;
  for (std::size_t i = 0; i < net.sent.size(); ++i) {
    if (net.sent[i].text == "y") position = static_cast<int>(i);
  }
  CHECK(position <= 4);
}

TEST_CASE_METHOD(WorkerTest, "a model that the worker's config lacks holds the batch by name") {
  chain = {"gone"};
  models["gone"] = models["large"];
  models["gone"].key = "gone";
  submit({"hello"});
  models.erase("gone");
  run_until_idle();
  CHECK(counts().ready == 1);
  CHECK(net.sent.empty());
  CHECK(batch().held_reason == "gone is not in the worker's config");
}

// A probe that met no connection once said that the account was in order again.
TEST_CASE_METHOD(WorkerTest, "a probe that says nothing of the account does not end its pause") {
  chain = {"large"};
  options.drain = false;
  options.in_flight = 4;
  net.script("large", {402, 402, 402, 402, -2, -1, 500, 200});
  submit({"1", "2", "3", "4", "5", "6", "7", "8"});
  SqliteCommit commit;
  const auto life = start_life(commit);
  const auto turns_until = [&](std::int64_t end_ms) {
    while (clock.now < end_ms) {
      life->worker.turn();
      life->transport.wait(std::min(life->worker.next_wake_ms(), end_ms));
    }
  };
  turns_until(kTestStartMs + 60'000);
  const std::size_t before = net.sent.size();
  turns_until(kTestStartMs + 39 * 60'000);  // three probes, none of which got through
  CHECK(net.sent.size() == before + 2);     // one of them had no connection
  turns_until(kTestStartMs + 41 * 60'000);
  CHECK(counts().done == 8);
}

// Once 50 probes of a paused provider were counted against the document that had to ask.
TEST_CASE_METHOD(WorkerTest, "neither probes nor lost connections use up a document's requests") {
  chain = {"large"};
  options.policy.max_requests = 5;
  options.drain = false;
  net.script("large", {401, 401, 401, 401, 401, 401, 401, 401, -2, -2, -2, -2, -2, -2, -2, 200});
  submit({"1"});
  SqliteCommit commit;
  const auto life = start_life(commit);
  for (int turn = 0; turn < 2000 && counts().done == 0; ++turn) {
    life->worker.turn();
    life->transport.wait(life->worker.next_wake_ms());
  }
  CHECK(state("d1") == "done");
  CHECK(attempts().size() == 16);
}

// It took note of the change and did not look, when a reply came in the same turn: the batch waited
// until somebody else changed the store. Found by simulation_test.
TEST_CASE_METHOD(WorkerTest, "a resume that comes together with a reply is seen") {
  chain = {"large"};
  options.in_flight = 1;
  options.drain = false;
  net.latency_ms = 1000;
  submit({"1"}, "first");
  submit({"2"});
  SqliteCommit plain;
  Database db(store, Access::read_write, plain);
  JobQueue person(db, clock, options.policy);
  person.pause_in_transaction(batch().id);
  SqliteCommit commit;
  const auto life = start_life(commit);
  life->worker.turn();
  REQUIRE(net.sent.size() == 1);
  clock.now += 1000;
  person.resume_in_transaction(batch().id, std::nullopt);
  for (int i = 0; i < 5; ++i) {
    life->worker.turn();
    life->transport.wait(life->worker.next_wake_ms());
  }
  CHECK(net.sent.size() == 2);
}

// The last reason stood in status until something else happened: a worker that slept for six
// seconds said that it waited for its first connection.
TEST_CASE_METHOD(WorkerTest, "what is waited for is told before the wait begins") {
  models["large"].per_minute.requests = 6;
  chain = {"large"};
  options.drain = false;
  submit({"1", "2"});
  SqliteCommit commit;
  const auto life = start_life(commit);
  for (int i = 0; i < 4; ++i) life->worker.turn();
  REQUIRE(counts().done == 1);
  SqliteCommit plain;
  Database db(store, Access::read_only, plain);
  const auto worker = StoreReader(db).last_worker();
  REQUIRE(worker);
  CHECK(worker->waits.find("requests/min of large") != std::string::npos);
}

TEST_CASE_METHOD(WorkerTest,
                 "with too little of the disk free nothing starts, and status says so") {
  options.disk_reserve_bytes = std::int64_t{1} << 60;
  options.drain = false;
  submit({"1"});
  {
    SqliteCommit commit;
    const auto life = start_life(commit);
    for (int i = 0; i < 3; ++i) life->worker.turn();
    CHECK(net.sent.empty());
    CHECK(life->worker.next_wake_ms() == clock.now + 1000);
    SqliteCommit plain;
    Database db(store, Access::read_only, plain);
    const auto worker = StoreReader(db).last_worker();
    REQUIRE(worker);
    CHECK(worker->waits.find("the disk: less than") != std::string::npos);
  }
  options.disk_reserve_bytes.reset();
  options.drain = true;
  run_until_idle();
  CHECK(state("d1") == "done");
}

// Two places of a chain, each of which remembered that nothing fitted, once sent the search back
// and forth for ever.
TEST_CASE_METHOD(WorkerTest,
                 "near a cap the search ends, wherever the jobs stand on their chains") {
  models["small"].price = ModelPrice{60, 60, 60, 60};
  options.in_flight = 4;
  options.policy.max_tries = 1;
  options.policy.retry_base_ms = 0;
  const char* near_the_ceiling =
      R"({"choices":[{"finish_reason":"stop","message":{"content":"x"}}],)"
      R"("usage":{"prompt_tokens":10,"completion_tokens":1000}})";
  net.set_body("large", near_the_ceiling);
  net.set_body("small", near_the_ceiling);
  std::vector<std::string> texts;
  for (int i = 0; i < 16; ++i)
    texts.push_back(std::string(static_cast<std::size_t>(5 + 9 * i), 'x'));
  for (int step = 1; step <= 40; ++step) {
    const std::string name = "b" + std::to_string(step);
    net.script("large", {503, 200, 503, 200, 503, 503, 200, 503, 200, 503, 503, 200});
    cap_pusd = step * 5'500;
    submit(texts, name);
    run_until_idle();
    INFO("cap " << *cap_pusd);
    const Batch row = batch(name);
    CHECK((row.held_reason.has_value() || row.finished_at_ms.has_value()));
    CHECK(row.spent_pusd + row.reserved_pusd <= *row.cap_pusd);
  }
}

// All of them once came and went together, and then always did.
TEST_CASE_METHOD(WorkerTest, "a turn settles half of the pool: the network has the other half") {
  chain = {"large"};
  providers["p"].per_minute.requests = 1e6;
  options.in_flight = 64;
  net.latency_ms = 1000;
  submit(std::vector<std::string>(200, "text"));
  SqliteCommit commit;
  const auto life = start_life(commit);
  for (int turns = 0; net.sent.size() < 64; ++turns) {  // a new life does not burst
    REQUIRE(turns < 200);
    life->worker.turn();
    ++clock.now;
  }
  clock.now += net.latency_ms;
  life->worker.turn();
  CHECK(life->worker.answers() == 32);
  CHECK(net.sent.size() == 96);
  CHECK(life->worker.next_wake_ms() <= clock.now);
  life->worker.turn();
  CHECK(life->worker.answers() == 64);
  CHECK(net.sent.size() == 128);
  CHECK(broken_invariant() == "");
}
