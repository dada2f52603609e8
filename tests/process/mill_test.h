#pragma once

// What a test of the whole program stands on: a scratch folder, a simulated provider as a child
// process, a config, documents, and the docmill binary.
//
//   simulate("--latency 20ms");          configure("[providers.sim]\nbase_url = \"@URL@\"\n ...");
//   docmill("submit summarise docs.jsonl --batch b");      Process worker = start("work");

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/process/process.h"
#include "tests/process/scratch.h"

namespace docmill::process_test {

// A docmill command that has ended.
struct Ran {
  Exit exit;
  int code = -1;
  std::string out;
  std::string err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
  std::vector<nlohmann::json> lines() const;  // of JSONL
};

// A line of the simulator's log: a request that reached the provider.
struct LogLine {
  std::int64_t t_ms = 0;
  std::int64_t attempt = 0;   // out of x-client-request-id; 0: it had none
  std::string client_prefix;  // of it; another in each life of a worker
  std::string path;
  std::string model;  // as asked
  std::string fate;
  int status = 0;  // 0: there was no reply
  bool has_key = false;
  std::int64_t prompt_tokens = 0;  // as billed
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
};

struct Text {
  std::string id;
  std::string text;
};

class MillTest {
 public:
  MillTest();

 protected:
  // --- the provider ---
  void simulate(const std::string& flags);
  // Killed, as a provider that is down; and there again, under the same url.
  void stop_simulating();
  void simulate_again(const std::string& flags);
  const std::string& url() const { return url_; }
  std::vector<LogLine> sent() const;
  std::size_t sent_count() const;  // cheaper

  // --- files, all below folder ---
  // docmill.toml: "[store] path = store.db", and `toml` with @URL@ filled in.
  void configure(std::string toml);
  std::filesystem::path write(const std::string& name, std::string_view content) const;
  std::string read(const std::filesystem::path& path) const;
  // `count` different texts as JSONL.
  std::vector<Text> write_texts(const std::string& name, int count) const;

  // --- docmill; words are split at spaces, '...' keeps them together ---
  // To its end; a test that waits longer than two minutes has failed.
  Ran docmill(const std::string& words);
  // In the background; its output goes to files that out_of() and err_of() read.
  Process start(const std::string& words);
  std::string out_of(const Process& process) const;
  std::string err_of(const Process& process) const;

  // The batch's object of `status --json`.
  nlohmann::json status(const std::string& batch);

  const Scratch scratch_;
  const std::filesystem::path folder = scratch_.path();
  const std::filesystem::path store_file = folder / "store.db";
  const std::filesystem::path log_file = folder / "provider.log";
  std::map<std::string, std::string> env;
  std::filesystem::path input = "/dev/null";  // stdin of what is started next
  std::vector<std::string> wrapper;           // a command that runs it: {"prlimit", "--as=..."}

 private:
  struct Output {
    std::filesystem::path out;
    std::filesystem::path err;
  };
  std::map<pid_t, Output> outputs_;
  void simulate_at(const std::string& port, const std::string& flags);
  std::optional<Process> simulator_;
  std::string port_;
  std::string url_;
  int started_ = 0;
};

// A port on 127.0.0.1 that nothing has, for a server that cannot be told 0. It is below those that
// the kernel gives to connections, so none takes it meanwhile; another process of tests looks
// elsewhere.
int free_port();

// 5 with DOCMILL_LONG_TESTS=1, else 1.
int test_scale();

}  // namespace docmill::process_test
