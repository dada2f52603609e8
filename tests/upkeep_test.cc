// Copies, pruning, damage: what is done to a store beside the work.

#include <SQLiteCpp/SQLiteCpp.h>

#include <sys/stat.h>

#include <fstream>

#include "base/errors.h"
#include "store/report_reader.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;
namespace fs = std::filesystem;

namespace {

class UpkeepTest : public WorkerTest {
 public:
  // As `docmill prune` does it.
  int prune(const std::string& name) {
    SqliteCommit commit;
    Database db(store, Access::read_write, commit);
    JobQueue queue(db, clock, options.policy);
    const BatchId id = batch(name).id;
    int jobs = 0;
    for (JobSpan left = span_of(db, id);;) {
      const Pruned pruned = queue.prune_in_transaction(id, left.before, left.last);
      jobs += pruned.jobs;
      if (!pruned.last) return jobs;
      left.before = *pruned.last;
    }
  }
  std::int64_t number(const char* sql) {
    SQLite::Database db(store.string(), SQLite::OPEN_READONLY);
    return db.execAndGet(sql).getInt64();
  }
};

void overwrite(const fs::path& file, std::int64_t offset, const std::string& bytes) {
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(offset);
  out << bytes;
}

}  // namespace

TEST_CASE_METHOD(UpkeepTest,
                 "a backup is the store at one moment, with what is unfinished paused") {
  submit({"one", "two"}, "done");
  run_until_idle();
  submit({"three"}, "open");
  const fs::path copy = scratch.path / "copy.db";

  back_up(store, copy, clock.now);

  CHECK_FALSE(fs::exists(copy.string() + "-wal"));
  CHECK_FALSE(fs::exists(copy.string() + ".part"));
  store = copy;
  CHECK(output("d1", "done") == "answer to one");
  CHECK_FALSE(batch("done").paused_at_ms);
  CHECK(batch("open").paused_at_ms);
  CHECK(batch("open").paused_reason.starts_with("restored from a backup"));
  const std::size_t sent = net.sent.size();
  run_until_idle();
  CHECK(net.sent.size() == sent);
  CHECK_THROWS_AS(back_up(store, copy, clock.now), UsageError);
}

TEST_CASE_METHOD(UpkeepTest, "a backup of a store at work leaves its open requests unknown") {
  net.latency_ms = 60'000;
  submit({"one"}, "b");
  SqliteCommit commit;
  const auto life = start_life(commit);
  life->worker.turn();
  const fs::path copy = scratch.path / "copy.db";
  back_up(store, copy, clock.now);
  clock.now += 60'000;
  life->worker.turn();
  CHECK(counts().done == 1);

  store = copy;
  run_until_idle();
  CHECK(money().unknown_requests == 1);
  CHECK(counts().ready == 1);
}

TEST_CASE_METHOD(UpkeepTest, "pruning keeps rows, ledger and what another batch still needs") {
  submit({"shared", "own"}, "old");
  run_until_idle();
  submit({"shared"}, "new");
  const std::int64_t spent = batch("old").spent_pusd;

  CHECK(prune("new") == 0);  // it has not ended
  CHECK(prune("old") == 2);

  CHECK(counts("old").done == 2);
  CHECK(attempts("old").size() == 2);
  CHECK(batch("old").spent_pusd == spent);
  CHECK(batch("old").pruned_at_ms);
  CHECK(number("SELECT count(*) FROM job_output") == 0);
  CHECK(number("SELECT count(*) FROM job_input") == 1);  // "shared"
  run_until_idle();
  CHECK(output("d1", "new") == "answer to shared");
  CHECK(number("SELECT count(*) FROM pragma_foreign_key_check") == 0);
}

TEST_CASE_METHOD(UpkeepTest, "what pruning freed goes back to the disk, a little at a time") {
  submit(std::vector<std::string>(40, std::string(100'000, 'x')), "same");
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i)
    texts.push_back(std::string(100'000, static_cast<char>('a' + i % 26)) + std::to_string(i));
  submit(texts, "many");
  run_until_idle();
  prune("many");
  SqliteCommit commit;
  Database db(store, Access::read_write, commit);
  db.checkpoint_when_idle();
  const std::uintmax_t before = fs::file_size(store);
  std::int64_t left = 1;
  int steps = 0;
  for (; left > 0 && steps < 1000; ++steps) {
    Transaction transaction(db);
    left = db.shrink(50);
    transaction.commit();
  }
  db.checkpoint_when_idle();
  CHECK(steps > 5);
  CHECK(fs::file_size(store) + 3'500'000 < before);
  CHECK(number("SELECT count(*) FROM job") == 80);
}

TEST_CASE_METHOD(UpkeepTest, "a document that comes back after it was pruned has its text again") {
  submit({"first"}, "b");
  submit({"second"}, "b");  // the same document, changed: the first is cancelled
  run_until_idle();
  prune("b");
  submit({"first"}, "b");
  run_until_idle();
  CHECK(output("d1") == "answer to first");
}

// A batch that was handed out and then opened again has something new to hand out.
TEST_CASE_METHOD(UpkeepTest, "an export is noted of ended batches, and over when they reopen") {
  submit({"one"}, "b");
  SqliteCommit commit;
  Database db(store, Access::read_write, commit);
  JobQueue queue(db, clock, options.policy);
  queue.note_export_in_transaction(batch().id);
  CHECK_FALSE(batch().exported_at_ms);
  run_until_idle();
  queue.note_export_in_transaction(batch().id);
  CHECK(batch().exported_at_ms);
  submit({"one", "two"}, "b");
  CHECK_FALSE(batch().exported_at_ms);
}

TEST_CASE_METHOD(UpkeepTest, "after a death a damaged store is refused, with what to do") {
  bool has_rebooted = false;
  SECTION("a small one, whatever the death was") {}
  SECTION("a large one, after a loss of power") {
    options.quickly_read_bytes = 0;
    has_rebooted = true;
  }
  submit(std::vector<std::string>(200, "text"), "b");
  {
    net.dies_after_sends = 3;
    SqliteCommit commit;
    REQUIRE(live_until_death(commit));
  }
  {
    SqliteCommit commit;
    Database db(store, Access::read_write, commit);
    db.checkpoint_when_idle();
  }
  // A page in the middle of the file, where no header is.
  overwrite(store, 8192 * 10 + 4096, std::string(2000, '\x5a'));
  overwrite(store, 8192 * 6, std::string(100, '\x5a'));
  if (has_rebooted) pretend_reboot(store);
  const std::size_t sent = net.sent.size();
  std::string said;
  try {
    run_until_idle();
  } catch (const WorldError& error) {
    said = error.what();
  } catch (const SQLite::Exception& error) {
    said = damage_met(error);
  }
  CHECK(said.find("the store is damaged") != std::string::npos);
  CHECK(said.find(store.string()) == 0);  // found by reading it, not met on the way
  CHECK(said.find("Restore a backup") != std::string::npos);
  CHECK(net.sent.size() == sent);
}

TEST_CASE_METHOD(UpkeepTest, "room is taken before it is needed") {
  SqliteCommit commit;
  Database db(store, Access::read_write, commit);
  {
    Transaction transaction(db);
    transaction.commit();
  }
  CHECK(db.take_room(1 << 20));
  struct stat info {};
  REQUIRE(stat((store.string() + "-wal").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 >= info.st_size + (1 << 20));
  CHECK_FALSE(db.take_room(std::int64_t{1} << 60));
}
