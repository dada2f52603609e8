// docmill selftest: the promises, proved on this machine's own disk. Documents go through a
// simulated provider that fails now and then, while workers and submits are killed at random; then
// the store is held against the provider's own log.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/errors.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/audit.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kStartMs = 10'000;    // a simulator that does not listen by then is broken
constexpr std::int64_t kFinishMs = 300'000;  // what the last, undisturbed worker may take
constexpr int kDocumentsPerSecond = 250;     // as many as killed workers just about get done
constexpr int kSyncs = 50;
// A disk that says "written" sooner than this has not written.
constexpr double kSurelyMemoryMs = 0.02;

constexpr const char* kConfig = R"toml([store]
path = "store.db"
[worker]
in_flight = 32
retry_base = "20ms"
retry_cap = "200ms"
breaker_cooldown = "300ms"
[providers.simulated]
base_url = "http://127.0.0.1:{}/v1"
[defaults]
chain = ["m", "spare"]
[models.m]
provider = "simulated"
input = 0.42
output = 0.84
[models.spare]
provider = "simulated"
input = 0.42
output = 0.84
)toml";
constexpr std::int64_t kInputPusd = 420'000;
constexpr std::int64_t kOutputPusd = 840'000;

struct SelftestFlags {
  std::string folder;
  int seconds = 60;
  std::uint64_t seed = 0;
};

class Selftest {
 public:
  Selftest(fs::path folder, std::uint64_t seed) : folder_(std::move(folder)), random_(seed) {
    program_ = fs::read_symlink("/proc/self/exe");
  }

  double sync_ms() const {
    const Fd fd(open((folder_ / "sync").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.is_open()) throw world_error_from_errno(folder_.string());
    timespec start{}, end{};
    std::vector<double> took_ms;
    for (int i = 0; i < kSyncs; ++i) {
      clock_gettime(CLOCK_MONOTONIC, &start);
      write_all(fd.get(), std::string(4096, 's'));
      if (fsync(fd.get()) != 0) throw world_error_from_errno("fsync");
      clock_gettime(CLOCK_MONOTONIC, &end);
      took_ms.push_back(static_cast<double>(end.tv_sec - start.tv_sec) * 1e3 +
                        static_cast<double>(end.tv_nsec - start.tv_nsec) / 1e6);
    }
    std::nth_element(took_ms.begin(), took_ms.begin() + kSyncs / 2, took_ms.end());
    return took_ms[kSyncs / 2];
  }

  void start_provider() {
    provider_.emplace(command({"simulate", "--port", "0", "--port-file", "port", "--log",
                               "provider.log", "--mix", "500=0.02,503=0.01,reset=0.02", "--latency",
                               "15ms", "--seed", std::to_string(random_() % 1'000'000)},
                              "provider"));
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.now_ms() + kStartMs;
    while (!fs::exists(folder_ / "port")) {
      if (provider_->wait(20) || clock.now_ms() > deadline_ms) {
        throw WorldError("the simulator did not start: " + (folder_ / "provider.err").string());
      }
    }
    const std::string port = read_file(folder_ / "port", 100).value_or("");
    write_file_atomically(folder_ / "docmill.toml",
                          fmt::format(fmt::runtime(kConfig), port.substr(0, port.find('\n'))));
  }

  void write_documents(int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      const std::string id = fmt::format("d{:06}", i);
      const std::string text = fmt::format("Document {} of the selftest, {}.", i, random_());
      lines += nlohmann::json({{"id", id}, {"text", text}}).dump() + "\n";
      texts_[id] = text;
    }
    write_file_atomically(folder_ / "docs.jsonl", lines);
  }

  // Kills both, again and again.
  void torment(std::int64_t for_ms) {
    const SystemClock clock;
    const std::int64_t end_ms = clock.now_ms() + for_ms;
    bool is_submitted = false;
    while (clock.now_ms() < end_ms) {
      std::optional<Process> submit;
      if (!is_submitted) submit.emplace(command(kSubmit, "submit"));
      Process worker(command({"work", "--drain"}, "worker"));
      worker.wait(30 + static_cast<std::int64_t>(random_() % 700));
      if (submit && submit->wait(0)) is_submitted = submit->wait(0)->code == 0;
      if (submit && submit->kill()) ++kills_;
      if (worker.kill()) ++kills_;
    }
  }

  void finish() {
    run(kSubmit, "submit");
    run({"work", "--drain"}, "worker");
  }

  Audit judge() {
    SqliteCommit commit;
    Database db(folder_ / "store.db", Access::read_only, commit);
    return audit(db, {"selftest", folder_ / "provider.log", texts_, kInputPusd, kOutputPusd});
  }

  int kills() const { return kills_; }

 private:
  Command command(const std::vector<std::string>& words, const std::string& name) const {
    Command command;
    command.argv = words;
    command.argv.insert(command.argv.begin(), program_.string());
    command.env = {{"PATH", "/usr/bin:/bin"},
                   {"HOME", folder_.string()},
                   {"DOCMILL_CONFIG", (folder_ / "docmill.toml").string()}};
    command.cwd = folder_;
    command.out = folder_ / (name + ".out");
    command.err = folder_ / (name + ".err");
    return command;
  }
  void run(const std::vector<std::string>& words, const std::string& name) {
    Process process(command(words, name));
    const std::optional<Exit> exit = process.wait(kFinishMs);
    // 1: a document met a fault twice on each of its models, and failed with the reason.
    if (exit && exit->code <= kExitSomeFailed && exit->code >= 0) return;
    throw WorldError(
        fmt::format("docmill {} {}: {}", words.front(),
                    exit ? fmt::format("ended with {}", exit->code) : std::string("does not end"),
                    (folder_ / (name + ".err")).string()));
  }

  const std::vector<std::string> kSubmit = {"submit", "summarise", "docs.jsonl", "--batch",
                                            "selftest"};
  fs::path folder_;
  fs::path program_;
  std::mt19937_64 random_;
  std::optional<Process> provider_;
  std::map<std::string, std::string> texts_;
  int kills_ = 0;
};

// Beside the store, so that it is the same disk.
fs::path make_folder(const Global& global, const SelftestFlags& flags) {
  fs::path parent = flags.folder;
  if (parent.empty()) parent = find_store(global, open_config(global)).parent_path();
  std::string pattern = (fs::absolute(parent) / "docmill-selftest-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw world_error_from_errno(parent.string());
  return pattern;
}

int selftest(const Global& global, const SelftestFlags& flags) {
  const std::uint64_t seed = flags.seed != 0 ? flags.seed : std::random_device()();
  const fs::path folder = make_folder(global, flags);
  say(global, fmt::format("in {}, for {} s, --seed {}", folder.string(), flags.seconds, seed));
  Selftest test(folder, seed);
  const double sync_ms = test.sync_ms();
  std::string text = fmt::format(
      "disk       a sync takes {:.2f} ms{}\n", sync_ms,
      sync_ms < kSurelyMemoryMs ? ": this is memory; it does not survive power loss" : "");
  test.start_provider();
  test.write_documents(flags.seconds * kDocumentsPerSecond);
  test.torment(std::int64_t{flags.seconds} * 1000);
  say(global, fmt::format("{} processes were killed; now the rest, undisturbed", test.kills()));
  test.finish();
  const Audit found = test.judge();
  text += fmt::format("killed     {} times: workers and submits, at random\n", test.kills());
  text += audit_text(found);
  text += found.holds() ? "Nothing was lost, and every repeated request is reported.\n"
                        : fmt::format("A PROMISE DOES NOT HOLD; what shows it is kept in {}\n",
                                      folder.string());
  write_all(STDOUT_FILENO, text);
  if (!found.holds()) return kExitWorld;
  fs::remove_all(folder);
  return kExitDone;
}

}  // namespace

Action add_selftest(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("selftest", "prove the promises on this disk");
  static SelftestFlags flags;
  command->add_option("--seconds", flags.seconds, "how long to kill (60)")
      ->check(CLI::Range(2, 86'400));
  command->add_option("--dir", flags.folder, "where, instead of beside the store");
  command->add_option("--seed", flags.seed, "repeats the moments of the kills");
  return [&global] { return selftest(global, flags); };
}

}  // namespace docmill
