// The suffixes of a model's name, one table row each.

#include "simulate/scripted_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace docmill::sim {
namespace {

using std::chrono::milliseconds;

// The quantile of the standard normal distribution that 99 of 100 draws stay below.
constexpr double kP99 = 2.3263478740408408;

double number_in(std::string_view text, double most) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= most)) {
    throw std::invalid_argument(fmt::format("'{}' is not a number from 0 to {}", text, most));
  }
  return value;
}

std::int64_t count_in(std::string_view text) {
  constexpr double kMost = 1e9;
  const double value = number_in(text, kMost);
  if (value != std::floor(value)) {
    throw std::invalid_argument(fmt::format("'{}' is not a whole number", text));
  }
  return static_cast<std::int64_t>(value);
}

Duration duration_in(std::string_view text) {
  struct Unit {
    std::string_view name;
    double us;
  };
  // "ms" before "m" and "s": the first that fits is taken.
  constexpr std::array<Unit, 4> kUnits{{{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}}};
  constexpr double kDayUs = 86'400e6;
  double us = 1e3;
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    text.remove_suffix(unit.name.size());
    us = unit.us;
    break;
  }
  return Duration(static_cast<std::int64_t>(number_in(text, kDayUs / us) * us));
}

using Apply = void (*)(Script&, std::string_view);

struct Key {
  std::string_view name;
  Apply apply;
};

constexpr std::array<Key, 9> kKeys{{
    {"latency",
     [](Script& s, std::string_view v) {
       s.latency = {duration_in(v), {}};
     }},
    {"p99", [](Script& s, std::string_view v) { s.latency.p99 = duration_in(v); }},
    {"rate", [](Script& s, std::string_view v) { s.requests_per_minute = count_in(v); }},
    {"burst", [](Script& s, std::string_view v) { s.burst = count_in(v); }},
    {"in-flight", [](Script& s, std::string_view v) { s.max_in_flight = count_in(v); }},
    {"fail-first", [](Script& s, std::string_view v) { s.fail_first = count_in(v); }},
    {"cached", [](Script& s, std::string_view v) { s.cached_share = number_in(v, 1); }},
    {"retry-after", [](Script& s, std::string_view v) { s.retry_after = duration_in(v); }},
    {"interval", [](Script& s, std::string_view v) { s.trickle_interval = duration_in(v); }},
}};

// True: the suffix was one of the keys above, and not a kind of reply.
bool apply_key(std::string_view suffix, Script& script) {
  const std::size_t equals = suffix.find('=');
  if (equals == std::string_view::npos) return false;
  for (const Key& key : kKeys) {
    if (key.name != suffix.substr(0, equals)) continue;
    key.apply(script, suffix.substr(equals + 1));
    return true;
  }
  return false;
}

Latency latency_for(std::string_view base_name, const SimulatorOptions& options) {
  const SimulatedPreset* preset = SimulatorOptions::find_preset(base_name);
  if (preset == nullptr) preset = SimulatorOptions::find_preset(options.preset);
  Latency latency{milliseconds(preset->latency_ms), milliseconds(preset->latency_p99_ms)};
  if (options.latency_ms) latency = {milliseconds(*options.latency_ms), {}};
  if (options.latency_p99_ms) latency.p99 = milliseconds(*options.latency_p99_ms);
  return latency;
}

Script defaults(std::string_view base_name, const SimulatorOptions& options) {
  Script script;
  script.base_name = std::string(base_name);
  script.latency = latency_for(base_name, options);
  script.mix = options.mix;
  script.max_in_flight = options.max_in_flight;
  script.cached_share = options.cached_share;
  script.retry_after = milliseconds(options.retry_after_ms);
  script.trickle_interval = milliseconds(options.trickle_interval_ms);
  return script;
}

}  // namespace

Duration Latency::draw(Draws& draws) const {
  const double mean = static_cast<double>(average.count());
  // p99 = mean * exp(kP99 s - s²/2), solved for s. The root ends where p99 is 15 times the mean.
  const double ratio = mean > 0 ? static_cast<double>(p99.count()) / mean : 0;
  if (ratio <= 1) return average;
  const double spread = kP99 - std::sqrt(std::max(0.0, kP99 * kP99 - 2 * std::log(ratio)));
  const double factor = std::exp(spread * draws.normal() - spread * spread / 2);
  return Duration(static_cast<std::int64_t>(mean * factor));
}

std::variant<Script, std::string> read_script(std::string_view model,
                                              const SimulatorOptions& options) {
  const std::size_t plus = model.find('+');
  Script script = defaults(model.substr(0, plus), options);
  if (plus == std::string_view::npos) return script;
  std::string kinds;
  try {
    for (std::string_view rest = model.substr(plus + 1);;) {
      const std::size_t next = rest.find('+');
      const std::string_view suffix = rest.substr(0, next);
      if (!apply_key(suffix, script)) kinds.append(kinds.empty() ? "" : ",").append(suffix);
      if (next == std::string_view::npos) break;
      rest.remove_prefix(next + 1);
    }
    if (!kinds.empty()) script.mix = SimulatorOptions::parse_mix(kinds);
  } catch (const std::invalid_argument& wrong) {
    return fmt::format("in the model's name '{}': {}", model.substr(0, 200), wrong.what());
  }
  return script;
}

}  // namespace docmill::sim
