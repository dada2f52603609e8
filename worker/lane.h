#pragma once

// A lane is one model's right to start requests: its in-flight limit, its requests a minute, the
// rest that a Retry-After asked for, its breaker, and a pause that needs a person. Limits of the
// provider are shared by the lanes of its models.
//
//   breaker:  closed ──failures in a row──▶ open ──cooldown──▶ one probe ──ok──▶ closed
//                                             ▲                    └──failed──┐
//                                             └───────────────────────────────┘
//   pause:    none ──bad key, no money──▶ paused ──probe_at──▶ one real job ──ok──▶ none

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "llm/model.h"
#include "queue/policy.h"

namespace docmill {

inline constexpr std::int64_t kNeverMs = std::numeric_limits<std::int64_t>::max();

// Tokens that come back at a rate, up to `burst`; taking one more makes it wait.
class Bucket {
 public:
  Bucket(double per_minute, double burst_seconds);
  // When one may be taken; at or before now_ms: now.
  std::int64_t free_at_ms(std::int64_t now_ms) const;
  void take(std::int64_t now_ms);

 private:
  double level_at(std::int64_t now_ms) const;
  double per_ms_;
  double burst_;
  double level_;
  std::int64_t as_of_ms_ = 0;
};

// What stops a model, or a provider's models together, until a person acts.
struct Pause {
  std::string reason;
  std::int64_t probe_at_ms = 0;  // then one request asks whether it is over
  bool is_probing = false;
};

// One level of limits; a lane has two, the model's and the provider's.
struct Limits {
  std::string name;  // for people: "requests/min of NAME"
  std::optional<Bucket> requests;
  std::optional<int> in_flight;
  int flying = 0;
  std::optional<Pause> pause;
};

// Why a lane does not start one now.
struct Refusal {
  std::string reason;         // "requests/min of holysheep"
  std::int64_t until_ms = 0;  // 0: until a reply comes; kNeverMs: until a person acts
  // The lane is out of order rather than busy: a chain goes on to its next model.
  bool is_out_of_order = false;
  bool needs_person = false;  // it will be asked again by itself, but --drain does not wait for it
};

class Lane {
 public:
  struct Options {
    int breaker_failures = 5;
    std::int64_t breaker_cooldown_ms = 30'000;
  };

  // `provider_limits` is shared and must outlive the lane.
  Lane(const Model& model, Limits& provider_limits, Options options);

  const Model& model() const { return model_; }
  Limits& own_limits() { return own_; }

  // Nothing: a request may start now.
  std::optional<Refusal> refusal(std::int64_t now_ms) const;
  void start(std::int64_t now_ms);
  // The request that start() counted came back.
  void end(const Outcome& outcome, const Decision& decision, std::int64_t now_ms);
  // Requests sent before this process began, oldest first: a crash loop must not burst.
  void remember(const std::vector<std::int64_t>& sent_at_ms);

 private:
  std::optional<Refusal> refusal_of(const Limits& limits, std::int64_t now_ms) const;

  const Model& model_;
  Limits& provider_;
  Options options_;
  Limits own_;
  std::int64_t rests_until_ms_ = 0;
  int failures_in_a_row_ = 0;
  std::int64_t breaker_open_until_ms_ = 0;  // 0: closed
  bool is_probing_breaker_ = false;
};

}  // namespace docmill
