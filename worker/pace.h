#pragma once

// The rate that a provider lets through, learnt from its refusals alone, for providers that say
// neither their limit nor what is left of it.
//
// A limit that is a token bucket is empty whenever it refuses. So between two refusals it let in
// exactly what came back to it: its rate is what was let in, divided by the time between them. The
// longer the time, the truer. From then on requests go at a little less than that rate, and a
// little faster with every second, so that a limit that was raised is found. If what was learnt is
// true the next refusal is due after a known time. When none comes by then the figure was too low
// (what came back to a shallow bucket while nothing was sent was lost), and the pace doubles every
// few seconds until one does.
//
// Some refuse a few requests whatever the rate. A pace below the learnt rate that is refused all
// the same shows it, and is doubled: were the limit real, refusals would now be many at once.
//
// Until something is known, at the start, after idleness and after a rest, a few
// requests go at once and the rest one by one, soon twice and four times as fast: the first refusal
// then finds two or three on their way, where a pool sent at once would be refused as a whole.

#include <cstdint>
#include <deque>
#include <optional>

#include "worker/bucket.h"

namespace docmill {

class Pace {
 public:
  // When the next request may go; at or before now_ms: now.
  std::int64_t free_at_ms(std::int64_t now_ms);
  // Requests are numbered as they start, from 1.
  void started(std::int64_t now_ms);
  // The request of that number, started at that time, came back as 429. True: it left after the
  // refusal before it was known, so it says something new. `rests`: nothing is sent for a while
  // now.
  bool refused(std::int64_t number, std::int64_t started_at_ms, bool rests, std::int64_t now_ms);
  // Requests a minute as they are let go now, when a pace has been learnt.
  std::optional<double> per_minute() const;

 private:
  void learn(std::int64_t number, std::int64_t started_at_ms, std::int64_t now_ms);
  void set_learnt(double per_minute, std::int64_t now_ms);
  void begin_stretch(std::int64_t number, std::int64_t started_at_ms);
  void begin_ramp(std::int64_t now_ms, double per_minute, double at_once);
  std::int64_t ramp_doubles_ms() const;
  double growth() const;
  bool has_outgrown() const;

  std::optional<Bucket> bucket_;
  double learnt_per_minute_ = 0;
  // How much was measured: too little; enough, and a rest lay in it; enough.
  enum class Trust { low, fair, high };
  Trust trust_ = Trust::low;
  std::int64_t paced_ms_ = 0;  // time since it was learnt in which requests went
  std::int64_t learnt_ms_ = 0;
  std::int64_t updated_ms_ = 0;

  // What is measured begins with a request that was refused. 0: none yet.
  std::int64_t stretch_number_ = 0;
  std::int64_t stretch_began_ms_ = 0;    // when that was started
  std::int64_t refused_in_stretch_ = 0;  // of those that were started after it
  bool rests_in_stretch_ = false;
  std::int64_t last_refusal_ms_ = 0;
  std::int64_t last_start_ms_ = 0;
  std::int64_t started_ = 0;
  std::deque<std::int64_t> refusals_;  // of the last requests: by how many were started then

  std::optional<Bucket> ramp_;
  std::int64_t refusal_ms_ = 0;       // how long a refusal takes to come back
  std::int64_t ramp_doubled_ms_ = 0;  // 0: its first request has not gone yet
};

}  // namespace docmill
