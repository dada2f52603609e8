// docmill work: the worker. Drains the queue until it is told to stop.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "cli/worker_life.h"

namespace docmill {
namespace {

struct WorkFlags {
  bool drain = false;
  std::string batch;
  int in_flight = 0;
};

int work(const Global& global, const WorkFlags& flags) {
  const Config config = open_config(global);
  const std::filesystem::path store = find_store(global, config);
  WorkerOptions options = config.worker;
  options.drain = flags.drain;
  options.only_batch = flags.batch;
  if (flags.in_flight > 0) options.in_flight = flags.in_flight;
  std::string refused;
  const auto life = live_as_worker(
      global, config, store, options, [](StoreReader&) {}, &refused);
  if (!life) throw WorldError(refused + "\n  Follow its work with: docmill status --watch");
  if (life->interrupted) return kExitInterrupted;
  if (!flags.drain) return kExitDone;
  if (!life->all_ended) {
    say(global, "not all is done: docmill status says what waits, and for what");
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
