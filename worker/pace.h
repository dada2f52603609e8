#pragma once

// The rate that a provider lets through, learnt from its refusals alone, for providers that say
// neither their limit nor what is left of it.
//
// A limit that is a token bucket is empty whenever it refuses. So between two refusals it let in
// exactly what came back to it: its rate is what was let in, divided by the time between them. The
// longer the time, the truer. From then on requests go at a little less than that rate, and a
// little faster with every second without a refusal, so that a limit that was raised is found.
//
// Until something is known, at the start, after idleness and after a refusal, a few requests go at
// once and the rest one by one, soon twice and four times as fast: the first refusal then finds two
// or three on their way, where a whole pool sent at once would be refused as a whole.

#include <cstdint>
#include <optional>

#include "worker/bucket.h"

namespace docmill {

class Pace {
 public:
  // When the next request may go; at or before now_ms: now.
  std::int64_t free_at_ms(std::int64_t now_ms);
  void started(std::int64_t now_ms);
  // The request that was started at that time came back as 429. True: it is the first since the
  // last lesson, not one that was on its way already.
  bool refused(std::int64_t started_at_ms, std::int64_t now_ms);
  // Requests a minute as they are let go now, when a pace has been learnt.
  std::optional<double> per_minute() const;

 private:
  void learn(std::int64_t now_ms);
  void begin_ramp(std::int64_t now_ms, double per_minute, double at_once);
  std::optional<Bucket> bucket_;
  std::optional<Bucket> ramp_;
  std::int64_t ramp_doubled_ms_ = 0;  // 0: its first request has not gone yet
  double learnt_per_minute_ = 0;
  std::int64_t first_refusal_ms_ = 0;  // of the stretch that is measured; 0: none
  std::int64_t last_refusal_ms_ = 0;
  std::int64_t last_start_ms_ = 0;
  std::int64_t updated_ms_ = 0;
  std::int64_t let_in_ = 0;  // since first_refusal_ms_
};

}  // namespace docmill
