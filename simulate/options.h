// How a simulated provider behaves when the model's name says nothing else.
//
// Chance is never drawn from a running counter: what befalls a request follows from the seed,
// the request's bytes and how often these bytes were seen, so a run repeats whatever the order
// in which its requests arrive.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "simulate/fate.h"

namespace docmill {

// `share` of the requests, between 0 and 1, meet `fate`.
struct SimulatedShare {
  sim::Fate fate;
  double share;
};
using SimulatedMix = std::vector<SimulatedShare>;

struct SimulatedPreset {
  std::string_view name;
  std::int64_t latency_ms;  // the average
  std::int64_t latency_p99_ms;
};

// Where a model's name matches a preset, that preset's latency holds for its requests. A suffix
// "+latency=" goes before latency_ms, latency_ms before the name, the name before `preset`.
struct SimulatorOptions {
  std::uint16_t port = 0;  // on 127.0.0.1; 0: any that is free
  std::uint64_t seed = 1;
  std::string log_path;  // empty: no log

  std::string preset = "instant";
  std::optional<std::int64_t> latency_ms;      // average of a lognormal
  std::optional<std::int64_t> latency_p99_ms;  // absent, or not above the average: no spread

  SimulatedMix mix;  // what is left of 1 is answered

  std::int64_t requests_per_minute = 0;  // 0: no limit
  std::int64_t burst = 0;                // 0: what one second allows, at least 1
  std::int64_t max_in_flight = 0;        // 0: no limit
  double cached_share = 0;               // of the prompt's tokens, reported as read from a cache
  std::string api_key;                   // empty: any key, or none, will do

  std::int64_t trickle_interval_ms = 10;  // between two bytes of a trickled reply
  std::int64_t retry_after_ms = 1000;     // what a 429 from a mix tells the client to wait

  // Reads "500=0.05,reset=0.01"; a kind without a share takes 1. Throws std::invalid_argument,
  // with the known kinds in its message, when a kind is unknown or shares do not fit into 1.
  static SimulatedMix parse_mix(std::string_view text);

  // deepseek-v3.2, gpt-4.1, claude-sonnet-4.5, gemini-2.5-flash, instant.
  static const std::vector<SimulatedPreset>& presets();
  static const SimulatedPreset* find_preset(std::string_view name);

  // Throws std::invalid_argument with the field's name when a value makes no sense.
  void validate() const;
};

}  // namespace docmill
