#pragma once

// A provider for simulation_test: every row of the taxonomy as a reply, and for each document and
// model a fate that is drawn from the seed. What each row means is written here by hand; nothing
// of it is asked of the code under test.

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/world.h"
#include "worker/transport.h"

namespace docmill::simulation {

// What a row of the taxonomy asks of the worker.
enum class Kind {
  wait,       // costs no try: any number may come before the fate
  free_try,   // costs a try and no money: up to three
  costly_try  // may be billed, or was: one
};

struct Row {
  const char* name;
  Kind kind;
  HttpReply (*make)();
  std::int64_t rest_ms = 0;  // what its model is told to wait before the next request of any job
};
const std::vector<Row>& passing_rows();

// What becomes of a document on a model, once the rows before it are through.
struct Fate {
  const char* name;
  HttpReply (*make)();      // null: it answers
  const char* error_class;  // with which the document fails if no other model answers
  bool ends_at_once;        // no other model is asked
  int tries;                // how often the model is asked for it: 1, 2 (once more), 5 (max_tries)
};
const std::vector<Fate>& fates();  // [0] answers

// What stops every request to a provider or model alike, while it lasts.
struct Outage {
  const char* name;
  HttpReply (*make)();
};
const std::vector<Outage>& outages();

struct Sent {
  std::int64_t attempt = 0;
  std::string model;
  std::string text;
  const char* row = "";  // or the fate's name
  bool was_answered = false;
};

// Outlives workers, as the real one does.
class Net {
 public:
  explicit Net(std::uint64_t seed) : random_(seed) {}

  // From now on the document (by its text) has these fates, one a model; drawn rows come before.
  void add(const std::string& text, const std::map<std::string, const Fate*>& fates);
  void begin_outage(const std::string& model, std::int64_t until_ms);
  void stop_faults() { faults_stopped_ = true; }
  HttpReply reply_to(const HttpRequest& request, std::int64_t now_ms, std::int64_t& due_ms);

  std::vector<Sent> sent;
  std::map<std::string, int> rows_seen;  // by name
  // A request that left although its model had been told to wait; empty: none did.
  std::string broken_rest;
  // The names of what the document meets on the model, in order, when nothing else happens.
  std::vector<std::string> foretold(const std::string& text, const std::string& model) const;
  int dies_after_sends = -1;

 private:
  struct Script {
    std::vector<const Row*> rows;
    const Fate* fate = nullptr;
    std::size_t asked = 0;
  };
  struct Down {
    const Outage* outage = nullptr;
    std::int64_t until_ms = 0;
  };
  std::mt19937_64 random_;
  std::map<std::pair<std::string, std::string>, Script> scripts_;  // by text and model
  std::map<std::string, Down> down_;                               // by model
  struct Rest {
    std::int64_t from_ms, until_ms;
  };
  std::map<std::string, std::vector<Rest>> rests_;  // by model
  bool faults_stopped_ = false;
};

class NetTransport : public FakeTransport {
 public:
  NetTransport(Net& net, FakeClock& clock) : FakeTransport(clock), net_(net) {}
  bool has_connected(const Provider&) const override { return true; }
  void start(HttpRequest request) override;

 private:
  Net& net_;
};

}  // namespace docmill::simulation
