#pragma once

// The bodies in which providers say what went wrong, and what they mean.

#include <string>

#include "llm/http_reply.h"
#include "queue/policy.h"

namespace docmill {

// Every shape that is sent: {"error":{...}}, {"error":"text"}, Gemini's array of these,
// {"detail":...}, or HTML.
struct ErrorBody {
  std::string message;  // for people, one line, at most 400 bytes
  std::string code;     // error.code as text, when it is a word
  std::string type;
  int status = 0;  // error.code, when it is a number
};

ErrorBody read_error_body(const std::string& body);

// The outcome of a reply with this status (400 and above, or 3xx). Says nothing about
// retry_after_ms.
Outcome outcome_of_status(int status, const ErrorBody& error, bool bills_errors);

}  // namespace docmill
