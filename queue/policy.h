#pragma once

// What happens to a job after an attempt. decide() is pure: the same facts give the same decision,
// and everything else in docmill carries out what it says.
//
//   outcome ──▶ done         the answer is the result, also one that was not mended when asked to
//           ├─▶ retry        same model, at run_at; once with a higher output limit
//           ├─▶ fall_back    another model further down the chain, now
//           ├─▶ split        its text is cut into pieces, each a job below it
//           ├─▶ give_back    as it was, without a try: the fault was not this request's
//           ├─▶ fail         for good
//           ├─▶ hold         a person decides
//           └─▶ cancel       nobody wants it any more
//
// The taxonomy (which ending is which class) lives in llm/; this file knows only the classes.

#include <cstdint>
#include <optional>
#include <string>

namespace docmill {

// How an attempt ended, as far as the policy cares.
enum class Ending {
  answered,           // a result
  not_sent,           // no connection: no byte of the request left
  rate_limited,       // 429 and its like: wait
  overloaded,         // 502, 503, 529: the model has no capacity now
  server_error,       // 500 and other complete refusals by a fault of theirs
  cut,                // connection lost, timed out, gateway error: may have been billed
  bad_reply,          // a 200 that is no answer: not JSON, no choice, no content
  too_slow,           // cut by us at the link's max_latency: may have been billed
  truncated,          // finish_reason length
  overthought,        // the same, and reasoning took most of it
  refused,            // content filter, refusal
  model_changed,      // another model answered than the one that is pinned
  invalid_output,     // an answer that is not what the task asked for
  changed_structure,  // a translation with other headings, links or placeholders than its source
  too_long,           // does not fit this model
  bad_request,        // 400, 422: this request is wrong, whoever is asked
  model_down,         // 404: every further request to this model would fail alike
  provider_down,      // bad key, no money, redirect: the same for all models of the provider
  repaired,           // a parameter was refused; the next request is written without it
  aborted,            // by us: cancel --now, a second signal
};

const char* to_string(Ending ending);

struct Outcome {
  Ending ending = Ending::answered;
  std::string error_class;     // short and stable: "rate_limited", "timeout"; empty when answered
  std::string error_message;   // for people, at most 500 bytes, never holds a key
  bool may_be_billed = false;  // no usage, and the provider may have worked: the ceiling stays
  bool was_billed = false;     // there is usage
  bool no_retry = false;       // the provider says that the same again would fail alike
  bool wait_is_own = false;    // retry_after_ms is about this request, not about the model
  std::optional<std::int64_t> retry_after_ms;  // what the provider asked for
};

// A failure that was paid for, or may have been: it is not tried over and over.
bool is_costly(const Outcome& outcome);

// What the policy needs to know of the job, as it was while the attempt was open.
struct JobFacts {
  int chain_position = 0;
  int chain_length = 1;
  // Further down the chain: the first with a larger context, and the first of another vendor.
  std::optional<int> larger_position;
  std::optional<int> other_vendor_position;
  bool can_split = false;  // its text may be cut
  bool can_raise = false;  // its output limit was not raised yet, and the model allows more
  int tries = 0;           // counted failures on this model before this attempt
  int unsure = 0;          // of those, the ones that were, or may have been, billed
  int requests = 1;  // attempts opened since it was queued or retried by hand, this one included
  bool unwanted = false;  // its batch was cancelled, or the document was submitted anew
};

struct Policy {
  int max_tries = 5;                              // per model of the chain
  std::int64_t retry_base_ms = 1000;              // full jitter in [0, base * 2^n] ...
  std::int64_t retry_cap_ms = 60'000;             // ... at most this
  std::int64_t longest_retry_after_ms = 900'000;  // a longer request to wait is cut to this
  int max_requests = 50;                          // a job that has sent so many is held
  int max_crashes = 3;                            // deaths of the worker blamed on one job
};

enum class Pauses { nothing, model, provider };

enum class Move { done, retry, fall_back, split, give_back, fail, hold, cancel };

struct Decision {
  Move move = Move::done;
  std::int64_t run_at_ms = 0;  // for retry; give_back is at once
  int position = 0;            // for fall_back
  bool counts_try = false;
  bool raises_limit = false;  // the retry asks for a longer answer
  // It says nothing about the job: nothing was sent, or every request would have ended so.
  bool counts_request = true;
  // The lane starts nothing before this (a Retry-After is for the lane, not for one job).
  std::int64_t lane_rests_until_ms = 0;
  Pauses pauses = Pauses::nothing;
};

// `random` in [0, 1) is the jitter, drawn by the caller.
Decision decide(const JobFacts& job, const Outcome& outcome, const Policy& policy,
                std::int64_t now_ms, double random);

}  // namespace docmill
