// Every read, write, sync, open and lock of a whole run fails in turn: the first, the second, and
// so on until a run is through before its turn comes. Each run ends in success or in an exception
// that main turns into exit 3, and the next one finishes what it left.

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdlib>

#include <set>

#include "base/errors.h"
#include "tests/catch.h"
#include "tests/fault_disk.h"
#include "tests/world.h"

using namespace docmill;

namespace {

const std::vector<std::string> kTexts = {"one", "two", "three " + std::string(1000, '.')};

class IoErrorTest : public WorkerTest {
 public:
  IoErrorTest() {
    store = scratch.path / "n.db";  // not made yet: its making is part of the run
    options.in_flight = 2;
    options.policy.retry_base_ms = 100;
    net.latency_ms = 50;
    net.script("large", {503, 200, -1, 200});
  }

  // Makes the store, submits, works, and reads what came back.
  void run_all() {
    create_or_migrate(store);
    submit(kTexts);
    run_until_idle();
    output("d1");
  }

  // Empty, or what is wrong when nothing fails any more.
  std::string wrong_after_recovery() {
    run_all();
    SQLite::Database db(store.string(), SQLite::OPEN_READONLY);
    SQLite::Statement jobs(db, R"sql(
        SELECT i.body, j.state, o.body FROM job j JOIN job_input i ON i.id = j.input_id
        LEFT JOIN job_output o ON o.job_id = j.id ORDER BY j.id)sql");
    std::vector<std::string> texts;
    while (jobs.executeStep()) {
      texts.push_back(kept_text(jobs.getColumn(0)));
      if (jobs.getColumn(1).getString() != "done") return "not all are done";
      if (jobs.getColumn(2).getString() != "answer to " + texts.back()) return "another's result";
    }
    if (texts != kTexts) return "these are not the documents that were given";
    return broken_invariant();
  }

  FaultDisk disk;
};

struct Seen {
  int failed_runs = 0;
  std::set<std::string> operations;
};

// Every `step`-th operation.
Seen fail_each(int step, FaultDisk::Fault fault) {
  Seen seen;
  for (int nth = 1; nth < 20'000; nth += step) {
    IoErrorTest test;
    test.disk.fail_at(nth, fault);
    bool ended_well = false;
    try {
      test.run_all();
      ended_well = true;
    } catch (const SQLite::Exception&) {
    } catch (const WorldError&) {
    }
    const bool has_failed = test.disk.has_failed();
    const std::string operation = test.disk.failed_operation();
    test.disk.heal();
    INFO("operation " << nth << " (" << operation << ")");
    if (!ended_well) CHECK(has_failed);
    CHECK(test.wrong_after_recovery() == "");
    if (!has_failed) return seen;
    seen.failed_runs += ended_well ? 0 : 1;
    seen.operations.insert(operation);
  }
  FAIL("a run never came to its end");
  return seen;
}

// Each of some 1,500 with DOCMILL_LONG_TESTS=1. 7 and 3 divide no pattern that SQLite repeats.
int step_or_all(int step) {
  return std::getenv("DOCMILL_LONG_TESTS") != nullptr ? 1 : step;
}

}  // namespace

TEST_CASE("whichever read, write, sync, open or lock fails once, the next life finishes") {
  const Seen seen = fail_each(1, FaultDisk::Fault::once);
  CHECK(seen.failed_runs > 100);
  for (const char* operation : {"access", "delete", "lock", "open", "read", "shm lock", "shm map",
                                "size", "sync", "truncate", "write"}) {
    INFO(operation);
    CHECK(seen.operations.contains(operation));
  }
}

TEST_CASE("wherever a disk dies for good, the next life on a new one finishes") {
  CHECK(fail_each(step_or_all(7), FaultDisk::Fault::for_good).failed_runs > 20);
}

TEST_CASE("wherever a disk fills, the next life with room finishes") {
  CHECK(fail_each(step_or_all(3), FaultDisk::Fault::full).failed_runs > 20);
}
