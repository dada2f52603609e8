#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

// Dies before or after the n-th commit of a life, and after the k-th send, for every n and k there
// is; a second life finishes. Whatever the moment, each job is done once, with its own answer, and
// every request that the provider saw is in the ledger.

namespace {

class DyingCommit : public Commit {
 public:
  DyingCommit(int nth, bool after) : left_(nth), after_(after) {}
  void run(SQLite::Database& connection) override {
    if (--left_ != 0) return commit_.run(connection);
    if (after_) commit_.run(connection);
    throw Died{};
  }

 private:
  int left_;
  bool after_;
  SqliteCommit commit_;
};

const std::vector<std::string> kTexts = {"one", "two", "three", "four"};

// Failures on the way, so that deaths also hit retries and fallbacks.
void script(WorkerTest& test) {
  test.options.in_flight = 2;
  test.options.policy.retry_base_ms = 100;
  test.net.latency_ms = 50;
  test.net.script("large", {503, 200, -1, 200, 500, 429, 200});
}

void check_end(WorkerTest& test) {
  CHECK(test.counts().done == static_cast<std::int64_t>(kTexts.size()));
  CHECK(test.counts().total() == static_cast<std::int64_t>(kTexts.size()));
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    CHECK(test.output("d" + std::to_string(i + 1)) == "answer to " + kTexts[i]);
  }
  CHECK(test.broken_invariant() == "");
  CHECK(test.money().in_flight_pusd == 0);
}

constexpr int kMost = 200;

}  // namespace

TEST_CASE("dies before and after every commit, and nothing is lost or done twice") {
  for (const bool after : {false, true}) {
    int deaths = 0;
    for (int nth = 1; nth < kMost; ++nth) {
      INFO((after ? "after" : "before") << " commit " << nth);
      WorkerTest test;
      script(test);
      test.submit(kTexts);
      DyingCommit commit(nth, after);
      if (!test.live_until_death(commit)) break;
      ++deaths;
      CHECK(test.broken_invariant() == "");
      test.run_until_idle();
      check_end(test);
    }
    CHECK(deaths > 8);
    CHECK(deaths < kMost - 1);
  }
}

TEST_CASE("dies after every send, and the lost request is listed as unknown") {
  int deaths = 0;
  for (int kth = 1; kth < kMost; ++kth) {
    INFO("after send " << kth);
    WorkerTest test;
    script(test);
    test.net.dies_after_sends = kth;
    test.submit(kTexts);
    SqliteCommit commit;
    if (!test.live_until_death(commit)) break;
    ++deaths;
    test.net.dies_after_sends = -1;
    test.run_until_idle();
    check_end(test);
    CHECK(test.money().unknown_requests >= 1);
  }
  CHECK(deaths >= 7);
}

TEST_CASE("dies again and again, and comes to an end all the same") {
  WorkerTest test;
  script(test);
  test.submit(kTexts);
  int deaths = 0;
  for (; deaths < 60; ++deaths) {
    // Each life gets a little further than its first commits.
    DyingCommit commit(4 + deaths % 3, deaths % 2 == 0);
    if (!test.live_until_death(commit)) break;
    CHECK(test.broken_invariant() == "");
  }
  test.run_until_idle();
  check_end(test);
}

TEST_CASE_METHOD(WorkerTest,
                 "a document that kills the worker three times is held, its neighbours "
                 "are done") {
  submit({"poison", "harmless"});
  for (int death = 0; death < 3; ++death) {
    // A death in the middle of working on the bytes of d1, which is job 1.
    SqliteCommit commit;
    const auto life = start_life(commit);
    death == 1 ? life->lock->set_network_suspect({1}) : life->lock->set_suspect({1});
  }
  run_until_idle();
  CHECK(state("d1") == "held");
  CHECK(state("d2") == "done");
}

TEST_CASE_METHOD(WorkerTest, "random deaths hold nobody") {
  submit({"one", "two"});
  net.latency_ms = 100;
  for (int death = 0; death < 10; ++death) {
    net.dies_after_sends = 2;
    SqliteCommit commit;
    live_until_death(commit);
  }
  net.dies_after_sends = -1;
  run_until_idle();
  CHECK(counts().done == 2);
}
