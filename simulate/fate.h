// What may become of one simulated request. A fate is decided once, when the request is there
// in full, and is what the simulator's log and its counters call the request ever after.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace docmill::sim {

enum class Fate : unsigned char {
  answer,
  // What a mix or a model's name may ask for, besides an answer.
  status_400,
  status_401,
  status_402,
  status_404,
  status_408,
  status_429,
  status_500,
  status_502,
  status_503,
  status_504,
  status_529,
  reset,              // the connection is reset, without a reply
  cut,                // headers and half of the body, then the connection closes
  stall,              // headers and a few bytes, then silence for ever
  trickle,            // the real reply, a byte at a time
  blank,              // 200 and headers, then blank lines for ever
  blank_then_answer,  // 200 and headers at once, blank lines while it thinks, then the reply
  oversize,           // a JSON body without end
  html,               // 502 with a page of HTML
  empty,              // 200, a body of white space, close
  error200,           // 200 with a top-level error object
  bad_json,
  no_choices,
  no_content,      // content null, finish_reason stop
  length,          // cut short: finish_reason length
  content_filter,  // finish_reason content_filter
  no_usage,        // an answer without a usage object
  redirect,        // 307 to another host
  insufficient_quota,
  // What only the simulator's own limits and checks lead to.
  rate_limit,
  in_flight,
  bad_key,
  bad_request,
  not_found,
  too_large,
  models,  // GET .../models
};

// Which tokens the provider charges: the log must agree with what a bill would say.
struct FateFacts {
  std::string_view name;
  int status;     // of the HTTP reply; 0 when there is none
  bool billed;    // the request's whole usage is charged
  bool answered;  // the whole answer is sent, to a client that waits long enough
};

const FateFacts& facts(Fate fate);

// Only fates that can be asked for; nothing for the others and for unknown names.
std::optional<Fate> find_kind(std::string_view name);

// The names that find_kind() knows, with commas between.
std::string known_kinds();

}  // namespace docmill::sim
