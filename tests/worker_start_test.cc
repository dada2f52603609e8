// Which job starts next, and which does not: shares of the pool, held batches, what is near a cap.

#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

namespace {

const char* const kHalfAnswer =
    R"({"model":"small","choices":[{"finish_reason":"length","message":{"content":"half"}}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5}})";
const char* const kWholeAnswer =
    R"({"model":"small","choices":[{"finish_reason":"stop","message":{"content":"whole"}}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5}})";

}  // namespace

// The turn in which the brake held a batch once started a whole pool of its documents.
TEST_CASE_METHOD(WorkerTest, "a batch that is held starts nothing more in the same turn") {
  chain = {"large"};
  options.in_flight = 10;
  net.latency_ms = 10;
  net.script("large", {400});
  submit(std::vector<std::string>(300, "text"));
  run_until_idle();
  CHECK(net.sent.size() == 100);
  CHECK(batch().held_reason.has_value());
}

// A provider that never answered once had the whole pool within two seconds, and everybody else
// waited for its timeouts, without a reason in status.
TEST_CASE_METHOD(WorkerTest, "a silent provider leaves a share of the slots to others") {
  providers["q"] = providers["p"];
  providers["q"].name = "q";
  providers["q"].base_url = "http://127.0.0.1:2/v1";
  models["other"] = models["small"];
  models["other"].key = models["other"].name = "other";
  models["other"].provider = "q";
  options.in_flight = 16;
  options.drain = false;
  net.latency_ms = 600'000;
  chain = {"large"};
  submit(std::vector<std::string>(100, "text"), "silent");
  SqliteCommit commit;
  const auto life = start_life(commit);
  const auto turns = [&](int count, std::int64_t step_ms) {
    for (int i = 0; i < count; ++i) {
      life->worker.turn();
      clock.now += step_ms;
    }
  };
  turns(10, 1000);
  CHECK(net.sent.size() == 12);  // it has not answered yet, and there is another
  net.latency_ms = 100;
  chain = {"other"};
  submit(std::vector<std::string>(40, "text"), "good");
  turns(3, 1000);
  SqliteCommit plain;
  Database db(store, Access::read_only, plain);
  StoreReader reader(db);
  CHECK(reader.last_worker()->waits.find("slots: all 16 in flight, 12 of them at p") !=
        std::string::npos);
  for (int i = 0; i < 60; ++i) turns(1, 100);
  CHECK(counts("good").done == 40);
  CHECK(counts("silent").running <= 12);
}

// A raised limit makes a shorter text the dearer one.
TEST_CASE_METHOD(WorkerTest, "under a cap what may cost least goes, not what is shortest") {
  chain = {"small"};
  options.in_flight = 1;
  models["small"].max_output_tokens = 100'000;
  net.set_body("small", kHalfAnswer);
  cap_pusd = 9'000;
  submit({"tiny", std::string(700, 'x')});
  SqliteCommit commit;
  {
    const auto life = start_life(commit);
    life->worker.turn();  // "tiny" is asked, and cut off
    net.set_body("small", kWholeAnswer);
    for (int turn = 0; turn < 100 && !life->worker.is_finished(); ++turn) {
      life->transport.wait(life->worker.next_wake_ms());
      life->worker.turn();
    }
  }
  CHECK(state("d2") == "done");
  CHECK(broken_invariant() == "");
}

TEST_CASE_METHOD(WorkerTest, "what no model can take is passed over a little at a time") {
  chain = {"small"};
  models["small"].context_tokens = 60;  // its prompt alone has more
  models["small"].max_output_tokens = 50;
  options.drain = false;
  brake = "off";
  submit(std::vector<std::string>(1000, "too short to cut"));
  SqliteCommit commit;
  const auto life = start_life(commit);
  life->worker.turn();
  CHECK(counts().failed == 200);
  for (int turn = 0; turn < 10; ++turn) life->worker.turn();
  CHECK(counts().failed == 1000);
}
