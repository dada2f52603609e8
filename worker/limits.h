#pragma once

// How much may leave for a model, or for all models of a provider together: requests and tokens a
// minute, requests in flight, and a pause that needs a person. Configured limits are kept; what
// replies teach is kept beside them, and the tighter one binds.
//
//   pause:    none ──bad key, no money──▶ paused ──probe_at──▶ one real job ──ok──▶ none

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "llm/model.h"
#include "llm/rate_headers.h"
#include "store/ledger.h"
#include "worker/bucket.h"

namespace docmill {

inline constexpr std::int64_t kNeverMs = std::numeric_limits<std::int64_t>::max();

// Why nothing may start now.
struct Refusal {
  std::string reason;         // "requests/min of holysheep"
  std::int64_t until_ms = 0;  // 0: until a reply comes; kNeverMs: until a person acts
  // Out of order rather than busy: a chain goes on to its next model.
  bool is_out_of_order = false;
  bool needs_person = false;  // it will be asked again by itself, but --drain does not wait for it
};

// What stops a model, or a provider's models together, until a person acts.
struct Pause {
  std::string reason;
  std::int64_t probe_at_ms = 0;  // then one request asks whether it is over
  bool is_probing = false;
};

// What one request takes of each meter.
struct Load {
  double input_tokens = 0;  // less what was read from a cache, which input limits do not count
  double output_tokens = 0;
  double cached_tokens = 0;
  double of(Meter meter) const;
};

class Limits {
 public:
  Limits() = default;
  Limits(std::string name, const Rates& rates, double burst_seconds, std::optional<int> in_flight);

  std::string name;  // of the model or provider
  std::optional<Pause> pause;
  bool has_answered = false;  // since its last pause, and in this life

  // What was sent before this process began, oldest first: a crash loop must not burst. Nothing
  // has been saved up for a burst either.
  void begin(std::int64_t now_ms, const std::vector<SentRow>& sent);
  std::optional<Refusal> refusal(std::int64_t now_ms) const;
  void start(std::int64_t now_ms, const Load& load);
  void end();
  // A request that began under other limits flies: it takes a place until its end().
  void carry() { ++flying_; }
  // What was reserved becomes what was used.
  void correct(std::int64_t now_ms, const Load& reserved, const Load& used);
  // `unseen`: what left after the request whose reply says so, and may not be counted in it.
  void learn(std::int64_t now_ms, const RateHints& hints, int unseen_requests, const Load& unseen);
  // 429 although the configured rate was kept: the provider counts more strictly than we do. After
  // ten minutes without another the rate goes back by a step.
  void be_stricter(std::int64_t now_ms);
  // Whether requests a minute are configured, and have not turned out to be far too many.
  bool has_request_rate() const;
  int flying() const { return flying_; }
  std::optional<int> in_flight() const { return in_flight_; }

 private:
  struct Gauge {
    std::optional<Bucket> configured;
    std::optional<Bucket> taught;
    double configured_per_minute = 0;
  };
  void scale(std::int64_t now_ms, double factor, double burst_factor);
  static double taught_per_minute(const RateHint& hint, const std::optional<Bucket>& taught);

  std::array<Gauge, kMeters> gauges_;
  std::optional<int> in_flight_;
  int flying_ = 0;
  std::int64_t stricter_at_ms_ = 0;  // 0: as configured
};

}  // namespace docmill
