#pragma once

// What a worker counts of its own life, for whoever watches it. Plain values: they are copied out
// once a second, and nobody else touches them.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/price.h"
#include "worker/caps.h"

namespace docmill {

struct Histogram {
  explicit Histogram(std::vector<double> upper_bounds)
      : bounds(std::move(upper_bounds)), counts(bounds.size() + 1) {}
  void add(double value);

  std::vector<double> bounds;        // ascending
  std::vector<std::int64_t> counts;  // of each bound, and of what is above all
  double sum = 0;
  std::int64_t count = 0;
};

struct ModelMetrics {
  std::map<std::string, std::int64_t> requests;  // by outcome: "answered", or the failure's class
  Histogram seconds = Histogram({0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600});
  Usage usage;
  std::int64_t cost_pusd = 0;  // of those whose cost is known
};

struct WorkerMetrics {
  std::map<std::string, ModelMetrics> models;  // by key
  Histogram turn_seconds = Histogram({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5});
  // As they are at the moment of the copy.
  int in_flight = 0;
  int in_flight_limit = 0;
  std::vector<std::string> paused;  // models and providers
  std::vector<Caps::Use> caps;
  bool is_stopping = false;
};

}  // namespace docmill
