// P8: a key is in the request's header and nowhere else. And what a wrong one does.

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/process/books.h"
#include "tests/process/echo_server.h"

namespace docmill::process_test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKey = "sk-TESTKEY-7f3a91c04be2d655";

constexpr const char* kKeyedModels = R"toml(
[worker]
in_flight = 16
retry_base = "10ms"
retry_cap = "50ms"
breaker_failures = 1000
[providers.sim]
base_url = "@URL@"
@KEY@
[models.only]
provider = "sim"
input = 0.42
output = 0.84
[models.failing]
provider = "sim"
name = "only+500"
input = 0.42
output = 0.84
[models.moved]
provider = "sim"
name = "only+redirect"
input = 0.42
output = 0.84
)toml";

class KeyTest : public MillTest {
 protected:
  // `key_line`: key_env = "..." or key_file = "...".
  void configure_with(const std::string& key_line) {
    std::string toml = kKeyedModels;
    toml.replace(toml.find("@KEY@"), 5, key_line);
    configure(toml);
  }
  // Every regular file below the folder that holds the key's bytes.
  std::vector<std::string> files_with_key() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() || entry.path().filename() == "key") continue;
      if (read(entry.path()).find(kKey) != std::string::npos) {
        found.push_back(entry.path().filename().string());
      }
    }
    return found;
  }
  // Every way in which a batch's data leaves the store.
  void write_all_outputs(const std::string& batch) {
    CHECK(docmill("report " + batch + " --by attempt --format csv -o attempts.csv").code == 0);
    CHECK(docmill("report " + batch + " --by job --format json -o jobs.json").code == 0);
    CHECK(docmill("report").code == 0);
    docmill("results " + batch + " -o results.jsonl");
    docmill("status " + batch);
    docmill("status --json");
    docmill("check");
  }
  static bool process_shows_key(const Process& process) {
    for (const char* file : {"cmdline", "environ"}) {
      std::ifstream stream(fmt::format("/proc/{}/{}", process.pid(), file), std::ios::binary);
      const std::string shown{std::istreambuf_iterator<char>(stream), {}};
      if (shown.find(kKey) != std::string::npos) return true;
    }
    return false;
  }
};

const std::vector<std::string> kNowhere;

}  // namespace

TEST_CASE_METHOD(KeyTest, "a key from the environment is sent and seen nowhere else", "[process]") {
  simulate(fmt::format("--latency 100ms --mix 500=0.1,reset=0.05 --api-key {}", kKey));
  configure_with("key_env = \"SIM_KEY\"");
  write_texts("docs.jsonl", 40);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b --models failing,only").code == 0);
  env["SIM_KEY"] = kKey;
  Process worker = start("-v work");
  env.erase("SIM_KEY");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() > 0; }));

  CHECK_FALSE(process_shows_key(worker));
  const std::string limits = read(fmt::format("/proc/{}/limits", worker.pid()));
  const std::size_t core = limits.find("Max core file size");
  CHECK(limits.substr(core, limits.find('\n', core) - core).find(" 0 ") != std::string::npos);
  CHECK(docmill("wait b --timeout 60s").code <= 1);
  CHECK(files_with_key() == kNowhere);  // while the worker lives, its WAL and all

  CHECK(worker.kill());
  write_all_outputs("b");
  CHECK(err_of(worker).find("outcome=server_error") != std::string::npos);  // it did log
  CHECK(files_with_key() == kNowhere);
}

TEST_CASE_METHOD(KeyTest, "a key from a file is sent and seen nowhere else", "[process]") {
  simulate(fmt::format("--mix 500=0.1 --api-key {}", kKey));
  configure_with("key_file = \"key\"");
  REQUIRE(chmod(write("key", std::string(kKey) + "\n").c_str(), 0600) == 0);
  write_texts("docs.jsonl", 60);

  CHECK(docmill("-v run summarise docs.jsonl --batch b --models only").code == 0);

  write_all_outputs("b");
  CHECK(files_with_key() == kNowhere);
}

TEST_CASE_METHOD(KeyTest, "a key file that others can read is refused", "[process]") {
  simulate(fmt::format("--api-key {}", kKey));
  configure_with("key_file = \"key\"");
  REQUIRE(chmod(write("key", kKey).c_str(), 0644) == 0);
  write_texts("docs.jsonl", 5);

  CHECK(docmill("run summarise docs.jsonl --batch b --models only").code == 4);

  const Ran check = docmill("check");
  CHECK(check.code == 2);
  CHECK(check.out.find("chmod 600") != std::string::npos);
  CHECK(sent_count() == 0);
  CHECK(files_with_key() == kNowhere);
}

// It did once: what the provider said went into the log, the ledger and the results as it was.
TEST_CASE_METHOD(KeyTest, "a provider that repeats the key in its error does not spread it",
                 "[process]") {
  for (const int status : {400, 401, 500}) {
    CAPTURE(status);
    const EchoServer server(status);
    configure(fmt::format(R"toml(
[worker]
max_tries = 1
[providers.echo{0}]
base_url = "{1}"
key_env = "SIM_KEY"
[models.only]
provider = "echo{0}"
)toml",
                          status, server.url()));
    write("a.txt", "A text.");
    const std::string batch = fmt::format("b{}", status);
    env["SIM_KEY"] = kKey;
    docmill("-v run summarise a.txt --batch " + batch);
    env.erase("SIM_KEY");
    CHECK(server.has_heard(kKey));
    write_all_outputs(batch);
    CHECK(files_with_key() == kNowhere);
  }
}

TEST_CASE_METHOD(KeyTest, "a redirect is not followed with the key", "[process]") {
  simulate(fmt::format("--api-key {}", kKey));
  configure_with("key_env = \"SIM_KEY\"");
  write_texts("docs.jsonl", 5);
  env["SIM_KEY"] = kKey;

  CHECK(docmill("run summarise docs.jsonl --batch b --models moved").code == 4);

  CHECK(sent_count() > 0);
  for (const LogLine& line : sent()) CHECK(line.path == "/v1/chat/completions");
}

TEST_CASE_METHOD(KeyTest, "a wrong key pauses its provider, fails no document and is mended",
                 "[process]") {
  simulate(fmt::format("--api-key {}", kKey));
  configure_with("key_env = \"SIM_KEY\"");
  const std::vector<Text> texts = write_texts("docs.jsonl", 200);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b --models only").code == 0);
  env["SIM_KEY"] = "sk-another";

  const std::int64_t start_ms = wall_ms();
  const Ran first = docmill("work --drain");
  CHECK(first.code == 4);
  CHECK(wall_ms() - start_ms < 5000);
  CHECK(first.err.find("sim is paused: its key is refused (HTTP 401") != std::string::npos);
  CHECK(sent_count() <= 16);  // what was in flight when the first reply came

  // Another life asks with one document, not with all of them, and does not forget why.
  CHECK(docmill("work --drain").code == 4);
  const std::size_t sent_at_first = sent_count();
  CHECK(sent_at_first <= 16 + 1);
  const nlohmann::json paused = status("b");
  CHECK(paused.at("jobs").at("queued") == 200);
  CHECK(paused.at("jobs").at("failed") == 0);
  CHECK(paused.dump().find("sim paused: its key is refused (HTTP 401") != std::string::npos);
  CHECK(paused.dump().find("docmill resume --provider sim") != std::string::npos);

  env["SIM_KEY"] = kKey;
  CHECK(docmill("resume --provider sim").code == 0);
  CHECK(docmill("work --drain").code == 0);
  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(store.number("SELECT max(tries) FROM job") == 0);
  CHECK(sent_count() == sent_at_first + texts.size());
}

TEST_CASE_METHOD(KeyTest, "a provider with a wrong key is passed over for the next of the chain",
                 "[process]") {
  simulate(fmt::format("--api-key {}", kKey));
  configure(R"toml(
[worker]
in_flight = 8
[defaults]
chain = ["locked", "open"]
[providers.closed]
base_url = "@URL@"
key_env = "WRONG_KEY"
[providers.sim]
base_url = "@URL@"
key_env = "SIM_KEY"
[models.locked]
provider = "closed"
[models.open]
provider = "sim"
)toml");
  const std::vector<Text> texts = write_texts("docs.jsonl", 100);
  env["WRONG_KEY"] = "sk-another";
  env["SIM_KEY"] = kKey;

  CHECK(docmill("run summarise docs.jsonl --batch b").code == 0);

  StoreView store(store_file);
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(store.number("SELECT count(*) FROM attempt WHERE model = 'locked'") <= 8);
  CHECK(store.number("SELECT count(*) FROM attempt WHERE model = 'open'") == 100);
}

}  // namespace docmill::process_test
