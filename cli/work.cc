// docmill work: the worker. Drains the queue until it is told to stop.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/log.h"
#include "cli/worker_life.h"
#include "config/known.h"
#include "report/status.h"

namespace docmill {
namespace {

struct WorkFlags {
  bool drain = false;
  std::string batch;
  int in_flight = 0;
};

void say_what_waits(const Global& global, const std::filesystem::path& store) {
  OpenedReader opened(store);
  for (const BatchStatus& batch :
       read_status(opened.reader, store, "", opened.clock.now_ms()).batches) {
    for (const BatchWait& wait : batch.waits) {
      if (wait.reason == "no worker") continue;
      say(global, fmt::format("{}: {}{}", batch.batch.name, wait.reason,
                              wait.next_step.empty() ? "" : "\n  next: " + wait.next_step));
    }
  }
}

int work(const Global& global, const WorkFlags& flags) {
  const Config config = open_config(global);
  const std::filesystem::path store = find_store(global, config);
  if (!flags.batch.empty()) {
    OpenedReader opened(store);
    batch_named(opened.reader, flags.batch);
  }
  WorkerOptions options = config.worker;
  options.drain = flags.drain;
  options.only_batch = flags.batch;
  if (flags.in_flight > 0) options.in_flight = flags.in_flight;
  if (config.file.empty() && !config.providers.empty()) {
    say(global, "no config: vendors are known by their variables; docmill prices list");
  }
  for (const auto& [key, model] : config.models) {
    if (!model.price) continue;
    const std::string doubt =
        price_doubt(*model.price, known_prices(nullptr, model.name, SystemClock().now_ms()));
    if (!doubt.empty()) log_warning("{}: {} has {}", model.price_source, key, doubt);
  }
  std::string refused;
  const auto life = live_as_worker(
      global, config, store, options, [](StoreReader&) {}, &refused);
  if (!life) throw WorldError(refused + "\n  Follow its work with: docmill status --watch");
  if (life->interrupted) return kExitInterrupted;
  if (!flags.drain || life->stopped) return kExitDone;
  if (!life->all_ended) {
    say_what_waits(global, store);
    return kExitNeedsPerson;
  }
  return life->failed > 0 ? kExitSomeFailed : kExitDone;
}

}  // namespace

Action add_work(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("work", "the worker: drain the queue");
  static WorkFlags flags;
  command->add_flag("--drain", flags.drain, "exit when nothing is left that can start soon");
  command->add_option("--batch", flags.batch, "this batch alone");
  command->add_option("--in-flight", flags.in_flight, "requests open at once")
      ->check(CLI::Range(1, 10'000));
  return [&global] { return work(global, flags); };
}

}  // namespace docmill
