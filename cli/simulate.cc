// docmill simulate: a provider on loopback, to rehearse with before paying.

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <stdexcept>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/open.h"
#include "simulate/simulator.h"

namespace docmill {
namespace {

struct SimulateFlags {
  SimulatorOptions options;
  std::string mix;
  std::string latency;
  std::string latency_p99;
  std::string port_file;
};

Simulator* running = nullptr;  // for the signal handler

void on_signal(int) {
  running->stop();
}

std::optional<std::int64_t> duration_flag(const std::string& flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto ms = parse_duration_ms(text);
  if (!ms) throw UsageError(fmt::format("{}: a duration is like 127ms or 2s", flag));
  return ms;
}

int simulate(const Global& global, SimulateFlags& flags) {
  SimulatorOptions& options = flags.options;
  options.latency_ms = duration_flag("--latency", flags.latency);
  options.latency_p99_ms = duration_flag("--p99", flags.latency_p99);
  // A connection is a descriptor, and the usual limit is 1,024.
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  try {
    if (!flags.mix.empty()) options.mix = SimulatorOptions::parse_mix(flags.mix);
    Simulator simulator(options);
    running = &simulator;
    for (const int signal_number : {SIGTERM, SIGINT}) signal(signal_number, &on_signal);
    const std::string url = fmt::format("http://127.0.0.1:{}/v1", simulator.port());
    say(global, "simulating at " + url);
    if (!flags.port_file.empty()) {
      write_file_atomically(flags.port_file, fmt::format("{}\n", simulator.port()));
    }
    simulator.run();
    for (const auto& [fate, count] : simulator.counters().by_fate) {
      say(global, fmt::format("{}: {}", fate, with_commas(static_cast<std::int64_t>(count))));
    }
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  } catch (const std::runtime_error& error) {
    throw WorldError(error.what());
  }
  return kExitDone;
}

}  // namespace

Action add_simulate(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("simulate", "a provider on loopback, to rehearse with");
  static SimulateFlags flags;
  SimulatorOptions& options = flags.options;
  command->add_option("--port", options.port, "0, the default: any that is free");
  command->add_option("--port-file", flags.port_file, "the port is written there once it listens");
  command->add_option("--seed", options.seed, "the same seed gives the same run");
  command->add_option("--log", options.log_path, "one JSON line a request, appended");
  command->add_option("--preset", options.preset,
                      "deepseek-v3.2, gpt-4.1, claude-sonnet-4.5, gemini-2.5-flash or instant");
  command->add_option("--latency", flags.latency, "the average, for example 127ms");
  command->add_option("--p99", flags.latency_p99, "its 99th percentile");
  command->add_option("--mix", flags.mix, "what goes wrong: 500=0.05,reset=0.01");
  command->add_option("--rpm", options.requests_per_minute, "above it: 429, with the real headers");
  command->add_option("--burst", options.burst, "requests that may come at once");
  command->add_option("--max-in-flight", options.max_in_flight, "above it: 429 without headers");
  command->add_option("--cached", options.cached_share, "share of prompt tokens from the cache");
  command->add_option("--api-key", options.api_key, "other keys get a 401 (a test key, not yours)");
  return [&global] { return simulate(global, flags); };
}

}  // namespace docmill
