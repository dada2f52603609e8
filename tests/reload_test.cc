// Another config while requests fly.

#include "tests/catch.h"
#include "tests/world.h"

namespace docmill {
namespace {

class ReloadedTest : public WorkerTest {
 protected:
  // A life that reads the config anew after so many answers.
  void run_and_reload(std::int64_t after_answers, const WorkerSetup& next,
                      const WorkerOptions& next_options) {
    SqliteCommit commit;
    const auto life = start_life(commit);
    bool is_done = false;
    int turns = 0;
    life->worker.run([&] {
      REQUIRE(++turns < 10'000);
      if (is_done || life->worker.answers() < after_answers) return;
      is_done = true;
      life->worker.reload(next, next_options);
      CHECK(life->worker.has_retired());
    });
    CHECK(is_done);
    CHECK_FALSE(life->worker.has_retired());
  }
  int most_flying() const {
    std::int64_t most = 0;
    for (const auto& at : net.sent) {
      most = std::max(most, std::count_if(net.sent.begin(), net.sent.end(), [&](const auto& one) {
                        return one.at_ms <= at.at_ms && at.at_ms < one.at_ms + net.latency_ms;
                      }));
    }
    return static_cast<int>(most);
  }
};

}  // namespace

TEST_CASE_METHOD(ReloadedTest, "what flies keeps its place in the new limits", "[reload]") {
  chain = {"small"};
  net.latency_ms = 1000;
  providers["p"].in_flight = 3;
  submit(std::vector<std::string>(30, "text"));
  Providers narrower = providers;
  narrower["p"].in_flight = 2;
  run_and_reload(3, {narrower, models, {}}, options);
  CHECK(counts().done == 30);
  CHECK(net.sent.size() == 30);
  CHECK(most_flying() == 3);  // and never three and two
  CHECK(broken_invariant() == "");
}

TEST_CASE_METHOD(ReloadedTest, "a model that is gone keeps what flies, at its price", "[reload]") {
  chain = {"large"};
  net.latency_ms = 1000;
  options.in_flight = 2;
  submit({"one", "two", "three", "four", "five"});
  Models fewer = models;
  fewer.erase("large");
  run_and_reload(2, {providers, fewer, {}}, options);
  CHECK(counts().done == 4);  // two more were under way
  CHECK(batch().spent_pusd == 4 * 15 * 10);
  CHECK(batch().held_reason->find("large is not in the worker's config") != std::string::npos);
  CHECK(broken_invariant() == "");
}

TEST_CASE_METHOD(ReloadedTest, "prices, caps and tries are those of the new config", "[reload]") {
  chain = {"small"};
  net.latency_ms = 1000;
  options.in_flight = 1;
  submit({"one", "two", "three", "four", "five"});
  Models dearer = models;
  dearer["small"].price = ModelPrice{7, 7, 7, 7};
  WorkerOptions wider = options;
  wider.in_flight = 2;
  wider.caps.daily_pusd = 1'000'000'000'000;
  run_and_reload(1, {providers, dearer, {}}, wider);
  CHECK(counts().done == 5);
  CHECK(most_flying() == 2);
  // The first, the one under way, and those that were sent after.
  CHECK(batch().spent_pusd == 15 * (1 + 1 + 7 + 7 + 7));
}

}  // namespace docmill
