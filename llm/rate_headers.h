#pragma once

// What a reply's headers say about limits: x-ratelimit-* (OpenAI, Groq, relays), anthropic-
// ratelimit-*, and the plain ratelimit-* of the IETF draft and OpenRouter.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "llm/http_reply.h"

namespace docmill {

enum class Meter { requests, tokens, input_tokens, output_tokens };
inline constexpr std::size_t kMeters = 4;
inline constexpr std::array<const char*, kMeters> kMeterNames = {
    "requests/min", "tokens/min", "input tokens/min", "output tokens/min"};

struct RateHint {
  double limit = 0;
  double remaining = 0;
  // Until the bucket is full again, which is not the time until the next request fits. Absent: not
  // said.
  std::optional<std::int64_t> full_in_ms;
};

using RateHints = std::array<std::optional<RateHint>, kMeters>;  // by Meter

// A meter is absent unless both its limit and its rest are there and make sense.
RateHints read_rate_headers(const HttpReply& reply);

// How long the provider asks to wait, in ms: retry-after-ms, Retry-After (seconds, fractions, HTTP
// date), or nothing. `now_ms` is for dates.
std::optional<std::int64_t> retry_after_ms(const HttpReply& reply, std::int64_t now_ms);

// A plain number of a header, 0 or more; nothing for anything else.
std::optional<double> header_number(const std::string& text);

}  // namespace docmill
