// A reply as the wire will carry it, with the misbehaviour spelled out: what to send, in what
// portions, after what delays, and how it ends. Nothing here knows of sockets.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "simulate/answer.h"
#include "simulate/fate.h"
#include "simulate/rate_bucket.h"
#include "simulate/scripted_model.h"

namespace docmill::sim {

enum class Ending : unsigned char {
  complete,
  abort,    // the connection closes in the middle
  silence,  // the connection stays open and nothing more comes
  repeat,   // the filler, for ever
  reset,    // nothing is sent at all: RST
};

struct Reply {
  Fate fate = Fate::answer;
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;

  Duration latency{};  // until the body's first byte; headers wait with it unless there is a lead
  std::string lead;    // sent over and over while the latency lasts
  Duration lead_interval{};

  std::string body;
  std::size_t step_bytes = 0;  // 0: the body in one piece
  Duration step_interval{};

  Ending ending = Ending::complete;
  std::string filler;
  Duration filler_interval{};

  // Promised in Content-Length. Absent: the body's own size if it is sent whole in one piece,
  // else chunks without a length.
  std::optional<std::size_t> promised_bytes;

  SimulatedUsage usage;  // what is billed

  bool in_one_piece() const {
    return lead.empty() && step_bytes == 0 && ending == Ending::complete && !promised_bytes;
  }
};

// What a completion says, whichever way it is sent.
struct Completion {
  std::string id;
  std::string model;  // without suffixes
  std::int64_t created_s = 0;
  std::string content;
  std::string finish_reason;
  SimulatedUsage usage;
  bool stream = false;
  bool usage_in_stream = false;
};

// Fills body, ending and so on for the fates that start with status 200.
void compose_completion(const Completion& completion, const Script& script, Reply& reply);

// The body of all others, as the provider that is known for this error sends it.
void compose_error(const Script& script, Reply& reply);

void compose_rate_limit(const RateBucket::Grant& grant, std::string_view model, Reply& reply);

// The headers that every reply has where a rate limit holds.
void add_rate_headers(const RateBucket::Grant& grant, Reply& reply);

// {"error": {...}} as OpenAI has it; an empty `code` or `parameter` becomes null.
std::string openai_error(std::string_view message, std::string_view type, std::string_view code,
                         std::string_view parameter = "");

std::string list_of_models(std::int64_t created_s);

}  // namespace docmill::sim
