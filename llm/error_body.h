#pragma once

// The bodies in which providers say what went wrong, and what they mean.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "llm/http_reply.h"
#include "queue/policy.h"

namespace docmill {

// Every shape that is sent: {"error":{...}}, {"error":"text"}, Gemini's array of these,
// {"detail":...}, or HTML.
struct ErrorBody {
  std::string message;  // for people, one line, at most 400 bytes
  std::string code;     // error.code as text, when it is a word
  std::string type;
  std::string reason;                          // OpenRouter's metadata.reason
  std::string parameter;                       // error.param
  std::string quota;                           // Gemini's quotaIds: which limit it was
  bool is_about_text = false;                  // a guardrail says what it found in the text
  int status = 0;                              // error.code, when it is a number
  std::optional<std::int64_t> retry_after_ms;  // "try again in 4.2s", Gemini's retryDelay
};

ErrorBody read_error_body(const std::string& body);

// The status that an error without one of its own stands for: by its number, else by its type.
int status_of(const ErrorBody& error);

// The outcome of a reply with this status (400 and above, or 3xx). Of retry_after_ms it says only
// what a limit per day needs.
Outcome outcome_of_status(int status, const ErrorBody& error, bool bills_errors);

// "4.2s", "120ms", "6m0s", "1h2m3s", and what may follow it; nothing when it is no such duration.
std::optional<std::int64_t> parse_go_duration_ms(std::string_view text);

}  // namespace docmill
