// docmill check: what is wrong before a run begins; --live asks each model for a word.

#include <curl/curl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "base/errors.h"
#include "base/money.h"
#include "base/text.h"
#include "cli/open.h"
#include "cli/run.h"
#include "config/known.h"
#include "documents/convert.h"
#include "report/status.h"
#include "worker/keys.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kShutdownNearMs = std::int64_t{60} * 86'400'000;
constexpr std::int64_t kClockSlackMs = 60'000;
constexpr std::int64_t kLeastDiskBytes = 128 << 20;  // twice [worker] disk_reserve's default
constexpr std::int64_t kLiveTimeoutMs = 60'000;
constexpr std::int64_t kLiveStopMs = 5000;

struct CheckFlags {
  bool live = false;
};

class Check {
 public:
  Check(const Global& global, const CheckFlags& flags) : global_(global), flags_(flags) {}

  int run() {
    const auto file = find_config(global_.config);
    config_ = open_config(global_);
    if (!file && config_.providers.empty()) {
      throw UsageError(
          fmt::format("no config was found: docmill init --provider NAME writes a docmill.toml; or "
                      "set one of {}",
                      fmt::join(known_key_variables(), ", ")));
    }
    store_ = find_store(global_, config_);
    price_by_store(store_, config_);
    note(fmt::format("docmill {}, SQLite {}, {}", DOCMILL_VERSION, sqlite_version(),
                     curl_version()));
    fmt::print("config {}: {} providers, {} models\n", file ? file->string() : "none",
               config_.providers.size(), config_.models.size());
    check_providers();
    check_models();
    check_tools();
    check_store();
    if (flags_.live) ask_models();
    if (problems_ == 0) return kExitDone;
    say(global_, fmt::format("{} problem{} to see to", problems_, problems_ == 1 ? "" : "s"));
    return kExitUsage;
  }

 private:
  void note(const std::string& line) { fmt::print("{}\n", line); }
  void problem(const std::string& line) {
    ++problems_;
    fmt::print("PROBLEM: {}\n", line);
  }

  void check_providers() {
    // Those of systemd credentials are there for the service alone.
    const bool is_service = std::getenv("CREDENTIALS_DIRECTORY") != nullptr;
    for (const auto& [name, key] : KeyReader::of_process().load(config_.providers)) {
      const Provider& provider = config_.providers.at(name);
      const std::string what = fmt::format("provider {} at {}: ", name, provider.base_url);
      if (!provider.key_credential.empty() && !is_service) {
        note(what + "its key is a credential of the service, not looked at here");
      } else if (!key.problem.empty()) {
        problem(what + key.problem);
      } else {
        note(what + (key.secret.is_empty() ? "no key is sent" : "has a key"));
      }
    }
  }

  void check_models() {
    const std::int64_t now_ms = SystemClock().now_ms();
    for (const auto& [key, model] : config_.models) {
      if (model.shuts_down_ms) {
        const std::int64_t left_ms = *model.shuts_down_ms - now_ms;
        const std::string day = iso_day(*model.shuts_down_ms);
        if (left_ms <= 0) {
          problem(fmt::format("model {}: it was shut down on {}", key, day));
        } else if (left_ms < kShutdownNearMs) {
          problem(fmt::format("model {}: it shuts down on {}, in {}", key, day,
                              human_duration(left_ms)));
        }
      }
      if (!model.price) {
        note(fmt::format("model {}: no price, so its requests are counted as unpriced", key));
        continue;
      }
      const std::string doubt =
          price_doubt(*model.price, known_prices(nullptr, model.name, now_ms));
      if (doubt.empty()) continue;
      problem(fmt::format("model {}: is its price right? {}: {}", key, model.price_source, doubt));
    }
    say_missing_tokenizers(global_, config_);
  }

  // A folder of text files needs none of them.
  void check_tools() {
    for (const Converter& tool : converters()) {
      if (!tool.is_here) {
        note(fmt::format("{} is not here, {} cannot be read: apt-get install {}", tool.program,
                         tool.reads, tool.package));
      }
    }
  }

  void check_store() {
    if (!store_exists(store_)) {
      return note(fmt::format("store {}: not there yet; submit makes it", store_.string()));
    }
    struct stat info {};
    if (stat(store_.c_str(), &info) == 0 && (info.st_mode & 07) != 0) {
      problem(fmt::format("store {}: everybody on this machine can open it; chmod o= {}",
                          store_.string(), store_.string()));
    }
    OpenedReader opened(store_);
    const std::int64_t now_ms = opened.clock.now_ms();
    const std::int64_t free_bytes = opened.db.free_disk_bytes();
    if (free_bytes < kLeastDiskBytes) {
      problem(fmt::format("store {}: {} are free on its disk; below {} nothing is started",
                          store_.string(), human_bytes(free_bytes),
                          human_bytes(config_.worker.disk_reserve_bytes.value_or(64 << 20))));
    }
    const auto last = opened.reader.last_worker();
    if (last && last->seen_at_ms > now_ms + kClockSlackMs) {
      problem(
          fmt::format("the clock says {}, and a worker has seen {}: daily caps and reports go "
                      "by it",
                      iso_time(now_ms), iso_time(last->seen_at_ms)));
    }
    const auto worker = running_worker(store_);
    note(fmt::format("store {}: good, {} free; {}", store_.string(), human_bytes(free_bytes),
                     worker ? fmt::format("worker pid {}", worker->pid) : "no worker is running"));
  }

  // Ordinary requests in batches of their own, so that they are in the ledger like all others.
  void ask_models() {
    Config config = config_;
    OwnTask word;
    word.system = "Answer with the one word: yes.";
    config.tasks["check"].own = word;
    config.tasks["check"].max_output_tokens = 256;
    config.worker.longest_life_ms = kLiveTimeoutMs;
    config.worker.stop_timeout_ms = kLiveStopMs;
    const std::vector<Document> documents = {{"hello", "check", "Are you there?", "", "", ""}};
    Global quiet = global_;
    quiet.quiet = true;
    const std::string when = iso_time(SystemClock().now_ms());
    for (const auto& [key, model] : config.models) {
      SubmitFlags flags;
      flags.task = "check";
      flags.inputs = {"check"};
      flags.documents = &documents;
      flags.models = key;
      flags.batch = fmt::format("check/{}/{}", when, key);
      flags.fresh = true;
      flags.yes = true;
      submit(quiet, config, store_, flags);
      work_off(quiet, config, store_, flags.batch, kLiveTimeoutMs);
      tell(key, flags.batch);
    }
  }

  void tell(const std::string& key, const std::string& batch) {
    OpenedQueue opened(store_, config_);
    StoreReader reader(opened.db);
    const Batch row = batch_named(reader, batch);
    const StoreStatus status = read_status(reader, store_, batch, opened.clock.now_ms());
    // What did not end now is not sent later, when nobody looks.
    if (!row.finished_at_ms) opened.queue.cancel_in_transaction(row.id, true);
    reader.each_result(row.id, "", [&](const ResultRow& result) {
      const std::string cost = result.is_unpriced ? "unpriced" : "$" + exact_usd(result.cost_pusd);
      if (result.state == "done") return note(fmt::format("model {}: answers, {}", key, cost));
      std::string why = result.error_message;
      if (why.empty()) why = status.batches.front().bound_by;
      if (why.empty()) why = fmt::format("no answer within {}", human_duration(kLiveTimeoutMs));
      problem(fmt::format("model {}: {}", key, printable_line(why)));
    });
  }

  const Global& global_;
  const CheckFlags& flags_;
  Config config_;
  fs::path store_;
  int problems_ = 0;
};

}  // namespace

Action add_check(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("check", "find what is wrong before a run");
  static CheckFlags flags;
  command->add_flag("--live", flags.live, "also ask each model for a word: some tokens each");
  return [&global] { return Check(global, flags).run(); };
}

}  // namespace docmill
