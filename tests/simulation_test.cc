// One seed drives a whole life of the queue: arrivals, latencies, every row of the taxonomy,
// outages, caps, pauses, suspends, wrong clocks after a restart, and deaths between any two steps;
// over the real store, with a fake clock and transport. After each turn the invariants must hold;
// when the faults stop every job must end as its fates say, by rules that are written here by hand.
//
//   DOCMILL_TEST_SEED=7 unit_tests "simulation*"     repeats one seed
//   DOCMILL_SIMULATION_SEEDS=10000                   runs so many

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <set>

#include "tasks/new_job.h"
#include "tasks/task.h"
#include "tests/catch.h"
#include "tests/simulated_net.h"

using namespace docmill;
using namespace docmill::simulation;

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kHourMs = 3'600'000;

// Made once; each seed begins with a copy.
const fs::path& empty_store() {
  static Scratch scratch;
  static const fs::path file = [] {
    fs::path path = scratch.path / "empty.db";
    create_or_migrate(path);
    return path;
  }();
  return file;
}

class DiesAtNth : public Commit {
 public:
  void run(SQLite::Database& connection) override {
    if (left > 0 && --left == 0) {
      if (after) commit_.run(connection);
      throw Died{};
    }
    commit_.run(connection);
  }
  int left = 0;  // 0: never
  bool after = false;

 private:
  SqliteCommit commit_;
};

struct Expected {
  std::set<std::string> models;   // that may have answered
  std::set<std::string> classes;  // with which it may have failed
};

class Simulation {
 public:
  // Every third seed is quiet: requests fail as drawn, and nothing else happens. Then every
  // document's requests are foretold, one by one.
  explicit Simulation(std::uint64_t seed)
      : is_quiet_(seed % 3 == 0),
        random_(seed),
        net_(seed * 31 + 7),
        store_(scratch_.path / "s.db") {
    for (const fs::directory_entry& part : fs::directory_iterator(empty_store().parent_path())) {
      const std::string name = part.path().filename().string();
      if (name.starts_with("empty.db"))
        fs::copy(part.path(), scratch_.path / ("s" + name.substr(5)));
    }
    reader_ = std::make_unique<SQLite::Database>(store_.string(), SQLite::OPEN_READONLY);
    make_models();
    options_.seed = seed;
    options_.in_flight = 1 + static_cast<int>(below(8));
    options_.policy.max_requests = 100'000;
    options_.breaker_failures = is_quiet_ ? 1'000'000 : 2 + static_cast<int>(below(6));
  }

  // Empty, or what went wrong.
  std::string run() {
    for (int i = 0; i < 3; ++i) submit_some();
    const int steps = 40 + static_cast<int>(below(60));
    for (int step = 0; step < steps; ++step) {
      misfortune();
      if (std::string wrong = one_turn(); !wrong.empty()) return wrong;
    }
    if (!is_quiet_) net_.stop_faults();
    net_.dies_after_sends = -1;
    commit_.left = 0;
    raise_caps();
    const std::int64_t end_ms = clock_.now + 48 * kHourMs;
    while (number("SELECT count(*) FROM batch WHERE finished_at IS NULL") > 0) {
      if (clock_.now > end_ms) return "after two days without faults: " + what_waits();
      if (std::string wrong = one_turn(); !wrong.empty()) return wrong;
    }
    const std::string wrong = report_disagreement(store_);
    return wrong.empty() ? wrong_ends() : wrong;
  }

  const std::map<std::string, int>& rows_seen() const { return net_.rows_seen; }

 private:
  struct Life {
    Life(Simulation& s, Commit& commit)
        : lock(WorkerLock::take(s.store_)),
          db(s.store_, Access::read_write, commit),
          transport(s.net_, s.clock_),
          worker(db, lock.value(), s.clock_, transport, {s.providers_, s.models_, {}}, s.options_) {
    }
    std::optional<WorkerLock> lock;
    Database db;
    NetTransport transport;
    Worker worker;
  };

  // Who submits, pauses and resumes: another process, as far as the worker knows.
  struct Person {
    Person(const fs::path& store, const Clock& clock, const Policy& policy)
        : db(store, Access::read_write, commit), queue(db, clock, policy) {}
    SqliteCommit commit;
    Database db;
    JobQueue queue;
  };
  Person& person() {
    if (!person_) person_ = std::make_unique<Person>(store_, clock_, options_.policy);
    return *person_;
  }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool chance(int percent) { return below(100) < static_cast<std::uint64_t>(percent); }

  void make_models() {
    for (const char* name : {"p", "q"}) {
      Provider& provider = providers_[name];
      provider.name = name;
      provider.base_url = std::string("http://") + name + ".test/v1";
      if (chance(30)) provider.per_minute.requests = 30 + static_cast<double>(below(600));
      if (chance(20)) provider.per_minute.tokens = 20'000 + static_cast<double>(below(100'000));
      provider.in_flight = 1 + static_cast<int>(below(10));
    }
    for (const auto& [key, provider] : {std::pair{"alpha", "p"}, {"beta", "p"}, {"gamma", "q"}}) {
      Model& model = models_[key];
      model.key = model.name = key;
      model.provider = provider;
      const std::int64_t rate = 1 + static_cast<std::int64_t>(below(20));
      model.price = ModelPrice{rate, rate, rate, 2 * rate};
    }
  }

  Chain some_chain() {
    Chain chain{"alpha", "beta", "gamma"};
    std::shuffle(chain.begin(), chain.end(), random_);
    chain.erase(chain.begin() + 1 + static_cast<std::ptrdiff_t>(below(3)), chain.end());
    for (Link& link : chain) {
      if (!is_quiet_ && chance(20))
        link.max_wait_ms = 1000 + static_cast<std::int64_t>(below(60'000));
    }
    return chain;
  }

  // A document's fates on the models of its chain, and what may become of it.
  void draw_fates(const std::string& text, const Chain& chain) {
    const auto any = [&] { return &fates()[below(fates().size())]; };
    const Fate* same = chance(50) ? &fates()[0] : any();
    const bool mixed = chance(30);
    std::map<std::string, const Fate*> by_model;
    chains_[text] = chain;
    Expected& expected = expected_[text];
    for (std::size_t at = 0; at < chain.size(); ++at) {
      const Fate* fate = mixed ? any() : same;
      by_model[chain[at].model] = fate;
      fates_[{text, chain[at].model}] = fate;
      const bool is_last = at + 1 == chain.size();
      if (fate->make == nullptr) {
        expected.models.insert(chain[at].model);
      } else if (fate->ends_at_once || is_last) {
        expected.classes.insert(fate->error_class);
      }
    }
    net_.add(text, by_model);
  }

  void submit_some() {
    JobQueue& queue = person().queue;
    const Chain chain = some_chain();
    BatchSpec spec = make_spec("summarise", {});
    spec.routes = {{"default", chain}};
    Batch wanted;
    wanted.name = fmt::format("b{}", ++batches_);
    wanted.task = spec.task;
    wanted.tenant = chance(50) ? "one" : "two";
    wanted.spec = to_json_text(spec);
    if (!is_quiet_ && chance(30))
      wanted.cap_pusd = 2'000 + static_cast<std::int64_t>(below(200'000));
    const BatchId id = queue.open_batch_in_transaction(wanted).id;
    std::vector<NewJob> jobs;
    for (std::uint64_t i = 1 + below(6); i > 0; --i) {
      Document document;
      document.id = fmt::format("d{}", ++documents_);
      document.source = "simulated";
      document.text = fmt::format("document {}", documents_);
      if (documents_ % 2 == 0) document.text += std::string(300, '.');  // is packed
      draw_fates(document.text, chain);
      jobs.push_back(new_job(std::move(document), static_cast<std::int64_t>(below(3)), 0));
    }
    queue.add_in_transaction(id, jobs);
    queue.seal_in_transaction(id);
  }

  void misfortune() {
    if (is_quiet_) return;
    switch (below(24)) {
      case 0:
        submit_some();
        break;
      case 1: {
        auto model = models_.begin();
        std::advance(model, static_cast<std::ptrdiff_t>(below(models_.size())));
        net_.begin_outage(model->first, clock_.now + static_cast<std::int64_t>(below(1'200'000)));
        break;
      }
      case 2:
        die();
        break;
      case 3:
        commit_.left = 1 + static_cast<int>(below(4));
        commit_.after = chance(50);
        break;
      case 4:
        net_.dies_after_sends = 1 + static_cast<int>(below(4));
        break;
      case 5:  // suspended: the time since boot goes on
        clock_.now += static_cast<std::int64_t>(below(2 * kHourMs));
        break;
      case 6:
        pause_or_resume();
        break;
      default:
        break;
    }
  }

  // The next life begins with the wall clock of that moment, which may be wrong.
  void die() {
    life_.reset();
    if (chance(30)) clock_.now += static_cast<std::int64_t>(below(2 * kHourMs)) - kHourMs;
  }

  void pause_or_resume() {
    JobQueue& queue = person().queue;
    for (const Batch& batch : queue.jobs().open_batches()) {
      if (batch.paused_at_ms) {
        queue.resume_in_transaction(batch.id, std::nullopt);
      } else if (chance(50)) {
        queue.pause_in_transaction(batch.id);
      }
    }
  }

  void raise_caps() {
    JobQueue& queue = person().queue;
    for (const Batch& batch : queue.jobs().open_batches()) {
      queue.resume_in_transaction(batch.id, 1'000'000'000'000'000);
    }
  }

  std::string one_turn() {
    try {
      if (!life_) life_ = std::make_unique<Life>(*this, commit_);
      life_->worker.turn();
    } catch (const Died&) {
      die();
      return broken_invariant();
    }
    if (std::string wrong = broken_invariant(); !wrong.empty()) return wrong;
    // A new life knows nothing of what the last one was told.
    if (is_quiet_ && !net_.broken_rest.empty()) return net_.broken_rest;
    life_->transport.wait(life_->worker.next_wake_ms());
    return "";
  }

  // Prepared once: preparing would be most of the time.
  SQLite::Statement& statement(const char* sql) {
    auto& kept = statements_[sql];
    if (!kept) kept = std::make_unique<SQLite::Statement>(*reader_, sql);
    kept->tryReset();
    return *kept;
  }
  std::int64_t number(const char* sql) {
    SQLite::Statement& rows = statement(sql);
    rows.executeStep();
    const std::int64_t value = rows.getColumn(0).getInt64();
    rows.tryReset();
    return value;
  }

  std::string broken_invariant() {
    // (1) every request that the provider saw has a ledger row
    for (; seen_ < net_.sent.size(); ++seen_) {
      SQLite::Statement& row = statement("SELECT job_id FROM attempt WHERE id = ?");
      row.bind(1, net_.sent[seen_].attempt);
      const bool is_there = row.executeStep();
      row.tryReset();
      if (!is_there) return "a request without a ledger row";
    }
    // (2) a result that was there once stays
    SQLite::Statement& results = statement("SELECT job_id, body FROM job_output ORDER BY job_id");
    std::size_t found = 0;
    while (results.executeStep()) {
      const std::int64_t job = results.getColumn(0).getInt64();
      const std::string body = results.getColumn(1).getString();
      const auto [known, is_new] = results_.emplace(job, body);
      if (known->second != body) return "a result changed";
      ++found;
    }
    results.tryReset();
    if (found != results_.size()) return "a result was lost";
    // (3) at most one open attempt a job, and running is the state that has it
    if (number("SELECT count(*) FROM (SELECT 1 FROM attempt WHERE settled_at IS NULL "
               "GROUP BY job_id HAVING count(*) > 1)") > 0) {
      return "two open attempts of one job";
    }
    // (4) only submit changes the number of jobs
    if (number("SELECT count(*) FROM job") != documents_) return "the number of jobs changed";
    // (5) the batches' sums are the ledger's, and no cap is passed
    if (number(R"sql(
          SELECT count(*) FROM batch b WHERE
            spent_pusd != (SELECT coalesce(sum(cost_pusd), 0) FROM attempt WHERE batch_id = b.id)
            OR reserved_pusd != (SELECT coalesce(sum(ceiling_pusd), 0) FROM attempt
              WHERE batch_id = b.id AND (settled_at IS NULL OR cost_basis = 'unknown'))
            OR spent_pusd + reserved_pusd > cap_pusd)sql") > 0) {
      return "a batch's money is not its ledger's, or passes its cap";
    }
    // (6) what was sent more than once a job is an attempt that ended without a result
    const auto extra = static_cast<std::int64_t>(net_.sent.size()) - documents_;
    if (extra > number("SELECT count(*) FROM attempt WHERE outcome IS NOT 'answered'")) {
      return "requests that no attempt accounts for";
    }
    return "";
  }

  std::string what_waits() {
    std::string text;
    SQLite::Statement jobs(*reader_, R"sql(
      SELECT b.name || ' ' || j.state || ' at ' || j.position || ' ' ||
             coalesce(j.error_class, '') || ' held: ' || coalesce(b.held_reason, '-') ||
             ' paused: ' || coalesce(b.paused_at, '-') || ' priority ' || j.priority || ' ' ||
             coalesce((SELECT waits FROM worker ORDER BY id DESC LIMIT 1), '')
      FROM job j JOIN batch b ON b.id = j.batch_id WHERE j.finished_at IS NULL)sql");
    while (jobs.executeStep()) text += jobs.getColumn(0).getString() + "\n";
    return text;
  }

  // (7), and what each document came to.
  std::string wrong_ends() {
    SQLite::Statement rows(*reader_, R"sql(
      SELECT i.body, j.state, coalesce(j.error_class, ''), coalesce(o.body, ''), j.item_key
      FROM job j JOIN job_input i ON i.id = j.input_id LEFT JOIN job_output o ON o.job_id = j.id
      )sql");
    while (rows.executeStep()) {
      const std::string text = kept_text(rows.getColumn(0));
      const std::string state = rows.getColumn(1).getString();
      const std::string error_class = rows.getColumn(2).getString();
      const std::string output = rows.getColumn(3).getString();
      const Expected& expected = expected_.at(text);
      if (state == "done") {
        const auto model = output.substr(0, output.find(' '));
        if (output != model + " on " + text) return text + " has another's result: " + output;
        if (!expected.models.contains(model)) return text + " was answered by " + model;
      } else if (state != "failed" || !expected.classes.contains(error_class)) {
        return fmt::format("{} ended {} ({})", text, state, error_class);
      }
    }
    return is_quiet_ ? wrong_requests() : "";
  }

  // In a quiet world: each document's requests, model by model, are those that were foretold.
  std::string wrong_requests() {
    std::map<std::string, std::vector<std::string>> met;
    for (const Sent& sent : net_.sent) {
      met[sent.text].push_back(sent.model + ": " + sent.row);
    }
    for (const auto& [text, chain] : chains_) {
      std::vector<std::string> expected;
      bool has_raised = false;  // a longer answer is asked for once a document, not once a model
      for (const Link& link : chain) {
        const Fate& fate = *fates_.at({text, link.model});
        for (const std::string& row : net_.foretold(text, link.model)) {
          expected.push_back(link.model + ": " + row);
        }
        if (fate.name == std::string("200, length")) {
          if (has_raised) expected.pop_back();
          has_raised = true;
        }
        if (fate.make == nullptr || fate.ends_at_once) break;
      }
      if (met[text] != expected) {
        return fmt::format("{} met {} and not {}", text, fmt::join(met[text], ", "),
                           fmt::join(expected, ", "));
      }
    }
    return "";
  }

  bool is_quiet_;
  Scratch scratch_{"/dev/shm"};
  std::map<std::string, Chain> chains_;                               // by text
  std::map<std::pair<std::string, std::string>, const Fate*> fates_;  // by text and model
  std::mt19937_64 random_;
  FakeClock clock_;
  Net net_;
  Providers providers_;
  Models models_;
  WorkerOptions options_;
  fs::path store_;
  std::unique_ptr<SQLite::Database> reader_;
  std::map<const char*, std::unique_ptr<SQLite::Statement>> statements_;
  std::unique_ptr<Person> person_;
  DiesAtNth commit_;
  std::unique_ptr<Life> life_;
  std::map<std::string, Expected> expected_;
  std::map<std::int64_t, std::string> results_;
  std::size_t seen_ = 0;
  std::int64_t batches_ = 0;
  std::int64_t documents_ = 0;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Every second seed from `first` on.
void run_seeds(std::uint64_t first) {
  const std::uint64_t only = number_from("DOCMILL_TEST_SEED", 0);
  const std::uint64_t last = number_from("DOCMILL_SIMULATION_SEEDS", 2000);
  std::map<std::string, int> rows_seen;
  for (std::uint64_t seed = only != 0 ? only : first; seed <= std::max(last, only); seed += 2) {
    Simulation simulation(seed);
    const std::string wrong = simulation.run();
    if (!wrong.empty()) FAIL("DOCMILL_TEST_SEED=" << seed << " repeats it: " << wrong);
    for (const auto& [name, count] : simulation.rows_seen()) rows_seen[name] += count;
    if (only != 0) return;
  }
  // Every row of the taxonomy came to pass.
  for (const Row& row : passing_rows()) CHECK(rows_seen[row.name] > 0);
  for (const Fate& fate : fates()) CHECK(rows_seen[fate.make ? fate.name : "answered"] > 0);
  for (const Outage& outage : outages()) CHECK(rows_seen[outage.name] > 0);
}

}  // namespace

// Two, for two cores.
TEST_CASE("simulation: whatever happens, every job ends as it should (odd seeds)") {
  run_seeds(1);
}

TEST_CASE("simulation: whatever happens, every job ends as it should (even seeds)") {
  run_seeds(2);
}
