// --rehearse: the whole command against a simulator, in a folder that is thrown away.

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include <thread>

#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "cli/run.h"
#include "report/status.h"
#include "simulate/simulator.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

class ThrownAway {
 public:
  ThrownAway() {
    std::string pattern = (fs::temp_directory_path() / "docmill-rehearsal-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw world_error_from_errno(pattern);
    path_ = pattern;
  }
  ~ThrownAway() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  ThrownAway(const ThrownAway&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Models that have a preset answer as fast as that, the others as fast as gpt-4.1.
SimulatorOptions as_usual() {
  SimulatorOptions options;
  options.preset = "gpt-4.1";
  return options;
}

class SimulatedProvider {
 public:
  SimulatedProvider() : simulator_(as_usual()) {
    sigset_t all, before;  // signals are for the thread that works
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { simulator_.run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~SimulatedProvider() {
    simulator_.stop();
    thread_.join();
  }
  SimulatedProvider(const SimulatedProvider&) = delete;
  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1", simulator_.port()); }

 private:
  Simulator simulator_;
  std::thread thread_;
};

// The same limits, prices and chains; another place, and no key.
Config rehearsed(Config config, const std::string& url) {
  for (auto& [name, provider] : config.providers) {
    Provider simulated;
    simulated.name = name;
    simulated.base_url = url;
    simulated.per_minute = provider.per_minute;
    simulated.burst_seconds = provider.burst_seconds;
    simulated.in_flight = provider.in_flight;
    simulated.region = provider.region;
    simulated.proxy = "none";
    provider = simulated;
  }
  for (auto& [key, model] : config.models) {
    model.pin.clear();
    model.price_origin.clear();  // the store has no lists
    // '+' would script the simulator.
    std::replace(model.name.begin(), model.name.end(), '+', '-');
  }
  return config;
}

}  // namespace

int rehearse(const Global& global, const SubmitFlags& submit_flags, const ResultFlags& results) {
  if (submit_flags.dry_run) throw UsageError("--dry-run and --rehearse are two things; give one");
  Config real = open_config(global);
  price_by_store(find_store(global, real), real);
  const ThrownAway folder;
  const SimulatedProvider provider;
  const Config config = rehearsed(std::move(real), provider.url());
  const fs::path store = folder.path() / "rehearsal.db";
  say(global, "rehearsal: answers come from a simulator on this machine and are thrown away");
  ResultFlags thrown = results;
  if (results.folder) {
    thrown.folder = (folder.path() / "out").string();
  } else {
    thrown.file = (folder.path() / "results").string();
  }
  const int code = run_batch(global, config, store, submit_flags, thrown);
  OpenedReader opened(store);
  StoreStatus status = read_status(opened.reader, store, "", opened.clock.now_ms());
  std::string text;
  for (BatchStatus& batch : status.batches) {
    batch.models = opened.reader.activity(batch.batch.id);
    text += status_view(batch, status);
  }
  text +=
      "This was a rehearsal: nothing was sent to a provider, nothing was paid, nothing is kept.\n";
  put(std::nullopt, text);
  return code;
}

}  // namespace docmill
