#pragma once

// The world as the worker's tests see it: a real store in a folder of its own, a clock that moves
// only when somebody waits, and a provider whose replies are scripted.

#include <SQLiteCpp/Column.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/job_queue.h"
#include "store/database.h"
#include "store/reader.h"
#include "store/report_rows.h"
#include "worker/transport.h"
#include "worker/worker.h"

namespace docmill {

// 2026-01-01T00:00:00Z
inline constexpr std::int64_t kTestStartMs = 1'767'225'600'000;

class FakeClock : public Clock {
 public:
  std::int64_t now_ms() const override { return now; }
  std::int64_t now = kTestStartMs;
};

// A folder that goes away with the test.
class Scratch {
 public:
  // Below `parent` if that exists, else below the temporary folder.
  explicit Scratch(const std::filesystem::path& parent = {});
  ~Scratch();
  Scratch(const Scratch&) = delete;
  std::filesystem::path path;
};

// The last holder of the worker's lock has had its death in another boot.
void pretend_reboot(const std::filesystem::path& store);

// A text out of job_input.body.
std::string kept_text(SQLite::Column body);

// Thrown where a process would have died. What is in memory then is lost with the objects.
struct Died {};

// The provider. It outlives workers, as the real one does.
class ScriptedProvider {
 public:
  // The n-th request to a model gets the n-th status, and the last one from then on. 200 answers
  // with "answer to TEXT"; -1 is a cut connection, -2 no connection, -3 cut at max_latency.
  void script(const std::string& model, std::vector<int> statuses);
  void set_body(const std::string& model, std::string body);  // instead of the answer of a 200
  void set_header(const std::string& model, std::string name, std::string value);
  void set_error(int status, std::string body);  // in place of {"error":{"message":"scripted"}}

  struct Sent {
    std::int64_t attempt = 0;
    std::string model;
    std::string text;  // the document
    int status = 0;
    std::int64_t at_ms = 0;
  };
  std::vector<Sent> sent;
  std::vector<std::string> bodies;           // of each of them
  std::vector<std::int64_t> max_latency_ms;  // of each; 0: none
  std::map<std::string, int> status_of;      // of these documents, whatever the script says
  std::int64_t latency_ms = 0;
  bool is_connected = true;
  int dies_after_sends = -1;  // the k-th send is the last thing a process does

  // "00:00:02 large 503\n" for each request, in the order of sending.
  std::string transcript() const;
  HttpReply reply_to(const HttpRequest& request, std::int64_t now_ms);

 private:
  std::map<std::string, std::vector<int>> scripts_;
  std::map<std::string, std::size_t> asked_;
  std::map<std::string, std::string> bodies_;
  std::map<std::string, std::vector<Header>> headers_;
  std::map<int, std::string> errors_;
};

// The network in virtual time; what a request gets is for its heirs to say.
class FakeTransport : public Transport {
 public:
  explicit FakeTransport(FakeClock& clock) : clock_(clock) {}
  void cancel(AttemptId attempt) override;
  std::vector<Received> take_received() override;
  // Moves the clock to the next reply, or to the time.
  void wait(std::int64_t until_ms) override;

 protected:
  FakeClock& clock_;
  void fly(HttpRequest request, HttpReply reply, std::int64_t due_ms);
  struct Flying {
    HttpRequest request;
    HttpReply reply;
  };
  std::multimap<std::int64_t, Flying> flying_;  // by when the reply is there
};

class ScriptedTransport : public FakeTransport {
 public:
  ScriptedTransport(ScriptedProvider& provider, FakeClock& clock)
      : FakeTransport(clock), provider_(provider) {}
  bool has_connected(const Provider&) const override { return provider_.is_connected; }
  void start(HttpRequest request) override;

 private:
  ScriptedProvider& provider_;
};

// Reports read a batch in two ways: counted, and by document. Empty, or where their totals differ.
std::string report_disagreement(const std::filesystem::path& store);

// One store, one provider, and as many lives of a worker as a test wants.
class WorkerTest {
 public:
  WorkerTest();
  ~WorkerTest();

  Scratch scratch{"/dev/shm"};  // nothing here depends on what a real disk does
  FakeClock clock;
  ScriptedProvider net;
  Providers providers;
  Models models;
  WorkerOptions options;
  std::filesystem::path store;

  // "small" and "large", 1 and 10 pico-USD a token; the chain is {"large", "small"}.
  Chain chain{"large", "small"};
  std::optional<std::int64_t> cap_pusd;
  std::string brake = "50%";
  std::string task = "summarise";

  // Queues the texts as documents "d1", "d2", ... of batch "b".
  void submit(const std::vector<std::string>& texts, const std::string& batch = "b");
  // A worker's life until nothing is left that can start soon.
  void run_until_idle();
  // A life that ends with Died, at the n-th commit or the k-th send; false: it came to its end.
  bool live_until_death(Commit& commit);

  struct Life;
  std::unique_ptr<Life> start_life(Commit& commit);

  std::string state(const std::string& id, const std::string& batch = "b");
  std::string output(const std::string& id, const std::string& batch = "b");
  BatchMoney money(const std::string& batch = "b");
  std::vector<AttemptRow> attempts(const std::string& batch = "b");
  Batch batch(const std::string& name = "b");
  JobCounts counts(const std::string& batch = "b");
  // What must hold at any moment between turns. Empty, or what is broken.
  std::string broken_invariant();

 private:
  SqliteCommit plain_commit_;
};

struct WorkerTest::Life {
  Life(WorkerTest& test, Commit& commit);
  ~Life();
  std::optional<WorkerLock> lock;
  Database db;
  ScriptedTransport transport;
  Worker worker;
};

}  // namespace docmill
