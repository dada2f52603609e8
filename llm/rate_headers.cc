#include "llm/rate_headers.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "llm/error_body.h"

namespace docmill {
namespace {

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value) || value < 0 || value > 1e15) return std::nullopt;
  return value;
}

constexpr std::int64_t kDayMs = 86'400'000;

// Seconds to go ("59"), an instant in seconds or ms since 1970, "6m0s", or a date.
std::optional<std::int64_t> reset_ms(const std::string& text, std::int64_t now_ms) {
  std::optional<double> ms;
  if (const auto number = number_of(text)) {
    if (*number > 1e12) {
      ms = *number - static_cast<double>(now_ms);
    } else if (*number > 1e9) {
      ms = *number * 1000 - static_cast<double>(now_ms);
    } else {
      ms = *number * 1000;
    }
  } else if (const auto duration_ms = parse_go_duration_ms(text)) {
    ms = static_cast<double>(*duration_ms);
  } else if (text.size() > 10 && text[10] == 'T') {  // RFC 3339, which libcurl reads with a space
    std::string date = text.substr(0, 19) + " GMT";
    date[10] = ' ';
    std::replace(date.begin(), date.begin() + 10, '-', '/');
    const std::int64_t date_s = curl_getdate(date.c_str(), nullptr);
    if (date_s > 0) ms = static_cast<double>(date_s * 1000 - now_ms);
  }
  if (!ms || *ms < 0 || *ms > static_cast<double>(31 * kDayMs)) return std::nullopt;
  return static_cast<std::int64_t>(*ms);
}

std::optional<RateHint> hint_of(const HttpReply& reply, const std::string& limit,
                                const std::string& remaining, const std::string& reset) {
  const auto most = number_of(reply.header(limit));
  const auto left = number_of(reply.header(remaining));
  if (!most || !left || *most < 1 || *left > *most) return std::nullopt;
  return RateHint{*most, *left, reset_ms(reply.header(reset), reply.received_at_ms)};
}

}  // namespace

RateHints read_rate_headers(const HttpReply& reply) {
  RateHints hints;
  constexpr std::array<const char*, kMeters> kWords = {"requests", "tokens", "input-tokens",
                                                       "output-tokens"};
  for (std::size_t i = 0; i < kMeters; ++i) {
    const std::string word = kWords[i];
    hints[i] = hint_of(reply, "x-ratelimit-limit-" + word, "x-ratelimit-remaining-" + word,
                       "x-ratelimit-reset-" + word);
    if (hints[i]) continue;
    const std::string anthropic = "anthropic-ratelimit-" + word;
    hints[i] = hint_of(reply, anthropic + "-limit", anthropic + "-remaining", anthropic + "-reset");
  }
  auto& requests = hints[static_cast<std::size_t>(Meter::requests)];
  for (const char* prefix : {"x-ratelimit-", "ratelimit-"}) {
    const std::string start = prefix;
    if (requests) break;
    requests = hint_of(reply, start + "limit", start + "remaining", start + "reset");
  }
  return hints;
}

}  // namespace docmill
