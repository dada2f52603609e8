// A model's name as a script: "deepseek-v3.2+500=0.05+latency=50ms". simulator.h has the grammar.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "simulate/digest.h"
#include "simulate/options.h"

namespace docmill::sim {

using Duration = std::chrono::microseconds;

// A lognormal with this average and this 99th percentile.
struct Latency {
  Duration average{};
  Duration p99{};

  Duration draw(Draws& draws) const;
};

// All that decides about one request, once the options and the model's name are put together.
struct Script {
  std::string base_name;
  Latency latency;
  SimulatedMix mix;
  std::optional<std::int64_t> requests_per_minute;  // absent: the simulator's own limit holds
  std::int64_t burst = 0;
  std::int64_t max_in_flight = 0;
  std::int64_t fail_first = 0;
  double cached_share = 0;
  Duration retry_after{};
  Duration trickle_interval{};
};

// The other case: why the name cannot be read.
std::variant<Script, std::string> read_script(std::string_view model,
                                              const SimulatorOptions& options);

}  // namespace docmill::sim
