// The simulated provider without its network: requests go in, replies come out, and each is
// counted and logged on the way.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "simulate/chat_request.h"
#include "simulate/rate_bucket.h"
#include "simulate/reply.h"
#include "simulate/request_log.h"
#include "simulate/sightings.h"
#include "simulate/simulator.h"

namespace docmill::sim {

// A request that has arrived in full.
struct Incoming {
  std::string method;
  std::string path;
  std::optional<std::string> authorization;
  std::optional<std::string> client_request_id;
  std::string body;
  bool too_large = false;  // the body was longer than allowed and has been dropped
};

class Provider {
 public:
  // `port` is where the provider listens: redirects name it.
  Provider(SimulatorOptions options, std::uint16_t port);

  // Decides, counts and logs. `in_flight` is the number of requests that have no end of their
  // reply yet, this one not counted.
  Reply reply_to(const Incoming& request, std::int64_t in_flight);

  const SimulatorCounters& counters() const { return counters_; }

 private:
  struct Case;  // one request on its way to a reply

  void decide(Case& now, std::int64_t in_flight);
  void decide_chat(Case& now, std::int64_t in_flight);
  bool refused_by_limits(Case& now, const Script& script, std::int64_t in_flight);
  Fate choose_fate(const Case& now, const Script& script, Draws& draws);
  void complete(Case& now, const Script& script);
  void refuse(Case& now, const Script& script, Fate fate);
  RateBucket* bucket_for(const std::string& model, const Script& script, TimePoint at);
  void finish(Case& now);

  SimulatorOptions options_;
  std::uint16_t port_;
  RequestLog log_;
  SimulatorCounters counters_;
  Sightings bodies_seen_;
  Sightings texts_seen_;  // by model name and user text: what fail-first counts
  std::optional<RateBucket> bucket_;
  std::unordered_map<std::string, RateBucket> buckets_of_models_;
};

}  // namespace docmill::sim
