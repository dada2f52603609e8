#pragma once

// An answer that comes as server-sent events, in either dialect, put together while it comes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/model.h"
#include "llm/sse.h"

namespace docmill {

// What came of it so far.
struct StreamedReply {
  std::string text;           // of the first choice
  std::string finish_reason;  // as the provider says it; empty: none came
  std::string model;
  std::string service_tier;
  std::string usage_json;        // the last usage object's text; empty: none came
  std::string error_json;        // the whole event that carried an error; empty: none did
  bool has_final_usage = false;  // that usage is the request's, not only its input's
  bool has_refusal = false;
  bool is_ended = false;      // [DONE] or message_stop came; nothing after it counts
  bool is_malformed = false;  // an event was not a JSON object
  std::int64_t reasoning_bytes = 0;
};

class StreamReader {
 public:
  // `max_bytes`: of text and reasoning together, and of one event.
  StreamReader(Dialect dialect, std::size_t max_bytes);

  // Payload: something of the answer, its usage, its end or an error. Comments, pings, blank lines,
  // and deltas without content are nothing.
  enum class Fed { nothing, payload, too_long };
  Fed feed(std::string_view bytes);

  const StreamedReply& reply() const { return reply_; }
  // What is kept in memory of it, an event that has not ended included.
  std::size_t held_bytes() const;
  StreamedReply take() { return std::move(reply_); }

 private:
  bool read(const SseEvent& event);
  Dialect dialect_;
  std::size_t max_bytes_;
  SseReader events_;
  StreamedReply reply_;
};

}  // namespace docmill
