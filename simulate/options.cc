// Presets, the grammar of a mix, and what options must not say.

#include "simulate/options.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace docmill {
namespace {

double parse_share(std::string_view kind, std::string_view text) {
  double share = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || !(share >= 0 && share <= 1)) {
    throw std::invalid_argument(
        fmt::format("the share of '{}' must be a number from 0 to 1, not '{}'", kind, text));
  }
  return share;
}

SimulatedShare parse_part(std::string_view part) {
  const std::size_t equals = part.find('=');
  const std::string_view kind = part.substr(0, equals);
  const std::optional<sim::Fate> fate = sim::find_kind(kind);
  if (!fate) {
    throw std::invalid_argument(
        fmt::format("'{}' is no kind of reply; known: {}", kind, sim::known_kinds()));
  }
  if (equals == std::string_view::npos) return {*fate, 1.0};
  return {*fate, parse_share(kind, part.substr(equals + 1))};
}

void check_sum(const SimulatedMix& mix) {
  double sum = 0;
  for (const SimulatedShare& part : mix) sum += part.share;
  // Shares such as 0.1 have no exact binary form, so ten of them may end a little above 1.
  if (sum > 1 + 1e-9) {
    throw std::invalid_argument(fmt::format("the shares of a mix add up to {}, above 1", sum));
  }
}

void require(bool holds, std::string_view complaint) {
  if (!holds) throw std::invalid_argument(std::string(complaint));
}

}  // namespace

SimulatedMix SimulatorOptions::parse_mix(std::string_view text) {
  SimulatedMix mix;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    mix.push_back(parse_part(part));
  }
  check_sum(mix);
  return mix;
}

const std::vector<SimulatedPreset>& SimulatorOptions::presets() {
  static const std::vector<SimulatedPreset> kPresets{
      {"deepseek-v3.2", 127, 312},    {"gpt-4.1", 234, 567}, {"claude-sonnet-4.5", 298, 723},
      {"gemini-2.5-flash", 185, 450}, {"instant", 0, 0},
  };
  return kPresets;
}

const SimulatedPreset* SimulatorOptions::find_preset(std::string_view name) {
  for (const SimulatedPreset& preset : presets()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

void SimulatorOptions::validate() const {
  if (find_preset(preset) == nullptr) {
    std::string names;
    for (const SimulatedPreset& known : presets()) names += fmt::format(" {}", known.name);
    throw std::invalid_argument(fmt::format("'{}' is no preset; known:{}", preset, names));
  }
  constexpr std::int64_t kDayMs = 86'400'000;
  const auto in_a_day = [](std::int64_t ms) { return ms >= 0 && ms <= kDayMs; };
  require(in_a_day(latency_ms.value_or(0)), "latency_ms must be between 0 and a day");
  require(in_a_day(latency_p99_ms.value_or(0)), "latency_p99_ms must be between 0 and a day");
  require(in_a_day(trickle_interval_ms), "trickle_interval_ms must be between 0 and a day");
  require(in_a_day(retry_after_ms), "retry_after_ms must be between 0 and a day");
  require(requests_per_minute >= 0, "requests_per_minute must not be negative");
  require(burst >= 0, "burst must not be negative");
  require(max_in_flight >= 0, "max_in_flight must not be negative");
  require(cached_share >= 0 && cached_share <= 1, "cached_share must be between 0 and 1");
  check_sum(mix);
}

}  // namespace docmill
