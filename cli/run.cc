// docmill run TASK INPUT...: submit, work until that batch has ended, hand out the results.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "cli/follow.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/worker_life.h"

namespace docmill {
namespace {

struct RunFlags {
  SubmitFlags submit;
  ResultFlags results;
};

// Nothing when another process is the worker.
std::optional<int> work_on(const Global& global, const Config& config,
                           const std::filesystem::path& store, const std::string& batch) {
  WorkerOptions options = config.worker;
  options.drain = true;
  options.only_batch = batch;
  const SystemClock clock;
  Progress progress(global, batch, store);
  std::string refused;
  const auto life = live_as_worker(
      global, config, store, options,
      [&](StoreReader& reader) { progress.show(reader, clock.now_ms()); }, &refused);
  if (!life) return std::nullopt;
  OpenedReader opened(store);
  progress.finish(opened.reader, clock.now_ms());
  if (life->interrupted) return kExitInterrupted;
  return exit_code_of(read_status(opened.reader, store, batch, clock.now_ms()).batches.front());
}

}  // namespace

int work_off(const Global& global, const Config& config, const std::filesystem::path& store,
             const std::string& batch, std::int64_t timeout_ms) {
  if (const std::optional<int> code = work_on(global, config, store, batch)) return *code;
  say(global, "a worker is running and does it: " + describe_worker(store));
  return follow(global, store, {batch}, timeout_ms);
}

int run_batch(const Global& global, const Config& config, const std::filesystem::path& store,
              const SubmitFlags& submit_flags, const ResultFlags& results) {
  const Submission submission = submit(global, config, store, submit_flags);
  if (submit_flags.dry_run) return kExitDone;
  const int code = work_off(global, config, store, submission.batch);
  OpenedReader opened(store);
  const Batch batch = batch_named(opened.reader, submission.batch);
  put_results(global, opened, batch, results);
  if (code == kExitInterrupted) {
    say(global, fmt::format("interrupted; nothing is lost. Go on with: docmill work --drain "
                            "--batch {}",
                            batch.name));
  } else if (code != kExitDone) {
    fmt::print(
        stderr, "{}",
        status_view(
            read_status(opened.reader, store, batch.name, opened.clock.now_ms()).batches.front(),
            StoreStatus{store.string(), {}, {}, opened.clock.now_ms()}));
  }
  return code;
}

Action add_run(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("run", "submit, work, and hand out the results");
  static RunFlags flags;
  declare_submit_flags(*command, flags.submit);
  declare_result_flags(*command, flags.results);
  return [&global] {
    check_result_flags(flags.results);
    if (flags.results.format == "openai-batch" && flags.submit.task != "requests") {
      throw UsageError("--format openai-batch is for the task requests");
    }
    if (flags.submit.rehearse) return rehearse(global, flags.submit, flags.results);
    const Config config = open_config(global);
    return run_batch(global, config, find_store(global, config), flags.submit, flags.results);
  };
}

}  // namespace docmill
