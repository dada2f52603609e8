#pragma once

// The network, as the worker sees it: requests go out, replies come back, and in between there is
// one place to wait. Curl is the real one; the tests' is scripted.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/strong_id.h"
#include "llm/http_reply.h"
#include "llm/model.h"
#include "llm/reply.h"

namespace docmill {

struct HttpRequest {
  AttemptId attempt;
  JobId job;
  const Provider* provider = nullptr;  // outlives the request
  std::string model;                   // for people
  std::string path;                    // after the provider's base_url
  std::string body;
  bool is_stream = false;   // the body asks for server-sent events
  bool keeps_body = false;  // the answer is the reply's body as it is
  std::optional<std::int64_t> max_latency_ms =
      std::nullopt;  // cut it after this, before its deadline
};

struct Received {
  AttemptId attempt;
  HttpReply reply;  // without its text, which is in `decoded`, unless the request keeps it
  DecodedReply decoded;
};

// What every transport makes of a reply: decoded, and the provider's key in none of it.
Received read_reply(const HttpRequest& request, HttpReply reply, const Secret& key);

class Transport {
 public:
  virtual ~Transport() = default;

  // Whether a request has gone out to the provider once, so that its host's name is known. Until
  // then the caller sends one at a time: each would have its name looked up by a thread.
  virtual bool has_connected(const Provider& provider) const = 0;
  // The ledger row is on disk. The reply comes back, whatever happens, within the deadlines.
  virtual void start(HttpRequest request) = 0;
  // Its reply comes back soon, as aborted, or as not_sent. Nothing if it has come back already.
  virtual void cancel(AttemptId attempt) = 0;
  // Those that came back since the last call.
  virtual std::vector<Received> take_received() = 0;
  // Returns when a reply is there, has_connected() has become true, the outside world calls, or the
  // time has come.
  virtual void wait(std::int64_t until_ms) = 0;
};

}  // namespace docmill
