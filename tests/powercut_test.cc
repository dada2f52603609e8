// The power goes at any write or sync that the store makes, hundreds of times, while a worker, a
// submit and a reader are at it. The provider is outside of the machine, so what it saw, and what a
// person was told before, must be in what the disk has kept.
//
//   DOCMILL_TEST_SEED=7 unit_tests "power*"      repeats one seed
//   DOCMILL_POWER_CUTS=5000                      cuts so many times

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "base/errors.h"
#include "tasks/new_job.h"
#include "tasks/task.h"
#include "tests/catch.h"
#include "tests/fault_disk.h"
#include "tests/world.h"

using namespace docmill;

namespace {

namespace fs = std::filesystem;

// Without power nothing is sent.
class MainsTransport : public FakeTransport {
 public:
  MainsTransport(ScriptedProvider& net, FakeClock& clock, const FaultDisk& disk)
      : FakeTransport(clock), net_(net), disk_(disk) {}
  bool has_connected(const Provider&) const override { return true; }
  void start(HttpRequest request) override {
    if (disk_.is_cut()) return;
    HttpReply reply = net_.reply_to(request, clock_.now);
    fly(std::move(request), std::move(reply), clock_.now + net_.latency_ms);
  }

 private:
  ScriptedProvider& net_;
  const FaultDisk& disk_;
};

// One machine through many power cuts.
class Machine {
 public:
  Machine(std::uint64_t seed, const char* synchronous)
      : synchronous_(synchronous), random_(seed), store_(scratch_.path / "0" / "s.db") {
    Provider& provider = providers_["p"];
    provider.name = "p";
    provider.base_url = "http://p.test/v1";
    for (const char* key : {"large", "small"}) {
      Model& model = models_[key];
      model.key = model.name = key;
      model.provider = "p";
      model.price = ModelPrice{3, 1, 3, 7};
    }
    net_.latency_ms = 20;
    net_.script("large", {200, 503, 200, 200, -1, 200, 429, 200, 500, 200});
    options_.in_flight = 4;
    options_.policy.retry_base_ms = 50;
    options_.policy.max_requests = 100'000;
    options_.seed = seed;
    fs::create_directory(store_.parent_path());
  }

  // A life that the power ends. What is wrong with what it leaves, or empty.
  std::string live_and_lose_power() {
    const fs::path after = scratch_.path / std::to_string(++lives_);
    fs::create_directory(after);
    disk_.cut_power_at(1 + static_cast<int>(random_() % 250), random_(), after);
    try {
      while (!disk_.is_cut()) live();
    } catch (const SQLite::Exception&) {
    } catch (const WorldError&) {
    }
    const bool was_cut = disk_.is_cut();
    disk_.heal();
    if (!was_cut) return "it failed with the power on";
    fs::remove_all(store_.parent_path());
    store_ = after / "s.db";
    return wrong_on_disk();
  }

  // Nothing goes wrong any more. What is wrong at the end, or empty.
  std::string come_to_an_end() {
    net_.script("large", {200});
    int turns = 0;
    submit();
    const std::unique_ptr<Database> opened = open(Access::read_write);
    Database& db = *opened;
    std::optional<WorkerLock> lock = WorkerLock::take(store_);
    MainsTransport transport(net_, clock_, disk_);
    options_.drain = true;
    Worker worker(db, lock.value(), clock_, transport, {providers_, models_, {}}, options_);
    while (!worker.is_finished()) {
      worker.turn();
      transport.wait(worker.next_wake_ms());
      if (++turns > 100'000) return "it does not come to an end";
    }
    if (std::string wrong = wrong_on_disk(); !wrong.empty()) return wrong;
    SQLite::Statement undone(db.connection(), "SELECT count(*) FROM job WHERE state != 'done'");
    undone.executeStep();
    return undone.getColumn(0).getInt64() == 0 ? "" : "a job did not end";
  }

  std::size_t sent() const { return net_.sent.size(); }

 private:
  std::unique_ptr<Database> open(Access access) {
    Database::Options options;
    options.large_wal_bytes = 100'000;  // so that the power also goes in checkpoints
    auto db = std::make_unique<Database>(store_, access, commit_, options);
    if (access == Access::read_write) {
      db->connection().exec(fmt::format("PRAGMA synchronous = {}", synchronous_));
    }
    return db;
  }

  void live() {
    create_or_migrate(store_);
    const std::unique_ptr<Database> opened = open(Access::read_write);
    Database& db = *opened;
    std::optional<WorkerLock> lock = WorkerLock::take(store_);
    MainsTransport transport(net_, clock_, disk_);
    Worker worker(db, lock.value(), clock_, transport, {providers_, models_, {}}, options_);
    const std::unique_ptr<Database> looking = open(Access::read_only);
    for (int turn = 0; turn < 400 && !disk_.is_cut(); ++turn) {
      if (random_() % 8 == 0) submit();
      worker.turn();
      if (random_() % 4 == 0) look(*looking);
      transport.wait(worker.next_wake_ms());
    }
  }

  // Another process: it has a connection of its own.
  void submit() {
    const std::unique_ptr<Database> opened = open(Access::read_write);
    Database& db = *opened;
    JobQueue queue(db, clock_, options_.policy);
    BatchSpec spec = make_spec("summarise", {});
    spec.routes = {{"default", Chain{"large", "small"}}};
    Batch wanted;
    wanted.name = "b";
    wanted.task = spec.task;
    wanted.tenant = "default";
    wanted.spec = to_json_text(spec);
    const BatchId id = queue.open_batch_in_transaction(wanted).id;
    std::vector<NewJob> jobs;
    std::set<std::string> keys;
    for (int i = 0; i < 3; ++i) {
      Document document;
      document.id = fmt::format("d{}", ++documents_);
      document.source = "test";
      document.text = fmt::format("text of {} ", document.id);
      document.text += std::string(random_() % 3000, 'x');
      keys.insert(document.id);
      tried_.insert(document.id);
      jobs.push_back(new_job(std::move(document), 0, 0));
    }
    queue.add_in_transaction(id, jobs);
    queue.seal_in_transaction(id);
    // It has printed that they are queued, if it still could.
    if (!disk_.is_cut()) submitted_.merge(keys);
  }

  // A person who looks at results has been told of them.
  void look(Database& db) {
    SQLite::Statement rows(db.connection(), kResults);
    while (rows.executeStep()) {
      told_.emplace(rows.getColumn(0).getString(), rows.getColumn(1).getString());
    }
  }

  static std::int64_t number(Database& db, const char* sql) {
    SQLite::Statement row(db.connection(), sql);
    row.executeStep();
    return row.getColumn(0).getInt64();
  }

  // The invariants, against what was seen outside of the machine.
  std::string wrong_on_disk() {
    create_or_migrate(store_);
    const std::unique_ptr<Database> opened = open(Access::read_write);
    Database& db = *opened;
    SQLite::Statement check(db.connection(), "PRAGMA integrity_check");
    check.executeStep();
    if (check.getColumn(0).getString() != "ok") return "corrupt: " + check.getColumn(0).getString();
    SQLite::Statement ledger(db.connection(), "SELECT model FROM attempt WHERE id = ?");
    for (const auto& sent : net_.sent) {
      ledger.reset();
      ledger.bind(1, sent.attempt);
      if (!ledger.executeStep() || ledger.getColumn(0).getString() != sent.model) {
        return fmt::format("attempt {} was sent and is not in the ledger", sent.attempt);
      }
    }
    std::set<std::string> keys;
    SQLite::Statement jobs(db.connection(), "SELECT item_key FROM job");
    while (jobs.executeStep()) {
      const std::string key = jobs.getColumn(0).getString();
      if (!tried_.contains(key)) return key + " came from nowhere";
      if (!keys.insert(key).second) return key + " is there twice";
    }
    for (const std::string& key : submitted_) {
      if (!keys.contains(key)) return key + " was submitted and is lost";
    }
    std::map<std::string, std::string> results;
    SQLite::Statement rows(db.connection(), kResults);
    while (rows.executeStep()) {
      results.emplace(rows.getColumn(0).getString(), rows.getColumn(1).getString());
    }
    for (const auto& [key, body] : told_) {
      if (!results.contains(key) || results[key] != body) return key + " had a result and lost it";
    }
    for (const auto& [key, body] : results) {
      if (!body.starts_with("answer to text of " + key + " ")) return key + " has another's result";
    }
    return wrong_sums(db);
  }

  std::string wrong_sums(Database& db) {
    if (number(db, R"sql(
          SELECT count(*) FROM (SELECT 1 FROM attempt WHERE settled_at IS NULL GROUP BY job_id
                                HAVING count(*) > 1))sql") > 0) {
      return "two open attempts of one job";
    }
    if (number(db, R"sql(
          SELECT count(*) FROM batch b WHERE
            spent_pusd != (SELECT coalesce(sum(cost_pusd), 0) FROM attempt WHERE batch_id = b.id)
            OR reserved_pusd != (SELECT coalesce(sum(ceiling_pusd), 0) FROM attempt
              WHERE batch_id = b.id AND (settled_at IS NULL OR cost_basis = 'unknown')))sql") > 0) {
      return "a batch's money is not its ledger's";
    }
    const auto repeated = static_cast<std::int64_t>(net_.sent.size()) -
                          number(db, "SELECT count(DISTINCT job_id) FROM attempt");
    if (repeated > number(db, "SELECT count(*) FROM attempt WHERE outcome IS NOT 'answered'")) {
      return "requests that no attempt accounts for";
    }
    return "";
  }

  static constexpr const char* kResults =
      "SELECT j.item_key, o.body FROM job_output o JOIN job j ON j.id = o.job_id";

  const char* synchronous_;
  std::mt19937_64 random_;
  Scratch scratch_{"/dev/shm"};
  FaultDisk disk_;
  FakeClock clock_;
  ScriptedProvider net_;
  Providers providers_;
  Models models_;
  WorkerOptions options_;
  SqliteCommit commit_;
  fs::path store_;
  int lives_ = 0;
  int documents_ = 0;
  std::set<std::string> tried_;
  std::set<std::string> submitted_;
  std::map<std::string, std::string> told_;
};

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

constexpr int kLivesOfAMachine = 10;

}  // namespace

TEST_CASE("power cuts lose nothing that was sent, submitted or told") {
  const int only = number_from("DOCMILL_TEST_SEED", 0);
  const int machines = number_from("DOCMILL_POWER_CUTS", 400) / kLivesOfAMachine;
  for (int seed = only != 0 ? only : 1; seed <= std::max(machines, only); ++seed) {
    Machine machine(static_cast<std::uint64_t>(seed), "FULL");
    for (int life = 1; life <= kLivesOfAMachine; ++life) {
      const std::string wrong = machine.live_and_lose_power();
      if (!wrong.empty()) FAIL("DOCMILL_TEST_SEED=" << seed << ", life " << life << ": " << wrong);
    }
    const std::string wrong = machine.come_to_an_end();
    if (!wrong.empty()) FAIL("DOCMILL_TEST_SEED=" << seed << ", at the end: " << wrong);
    CHECK(machine.sent() > 0);
  }
}

// What this disk does to a store that syncs less; it is also the proof that the test above can
// fail. docmill has no such setting.
TEST_CASE("power cuts would lose requests and results with synchronous=NORMAL") {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Machine machine(seed, "NORMAL");
    for (int life = 1; life <= kLivesOfAMachine; ++life) {
      if (machine.live_and_lose_power().empty()) continue;
      ++lost;
      break;
    }
  }
  CHECK(lost >= 4);
}
