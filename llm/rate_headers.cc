#include "llm/rate_headers.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "llm/error_body.h"

namespace docmill {
namespace {

constexpr std::int64_t kLongestResetMs = 31 * std::int64_t{86'400'000};

// Seconds to go ("59"), an instant in seconds or ms since 1970, "6m0s", or a date.
std::optional<std::int64_t> reset_ms(const std::string& text, std::int64_t now_ms) {
  std::optional<double> ms;
  if (const auto number = header_number(text)) {
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
  if (!ms || *ms < 0 || *ms > static_cast<double>(kLongestResetMs)) return std::nullopt;
  return static_cast<std::int64_t>(*ms);
}

std::optional<RateHint> hint_of(const HttpReply& reply, const std::string& limit,
                                const std::string& remaining, const std::string& reset) {
  const auto most = header_number(reply.header(limit));
  const auto left = header_number(reply.header(remaining));
  if (!most || !left || *most < 1 || *left > *most) return std::nullopt;
  return RateHint{*most, *left, reset_ms(reply.header(reset), reply.received_at_ms)};
}

}  // namespace

std::optional<double> header_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value) || value < 0 || value > 1e15) return std::nullopt;
  return value;
}

std::optional<std::int64_t> retry_after_ms(const HttpReply& reply, std::int64_t now_ms) {
  if (const auto value = header_number(reply.header("retry-after-ms"))) {
    return static_cast<std::int64_t>(std::ceil(*value));
  }
  const std::string& asked = reply.header("retry-after");
  if (asked.empty()) return std::nullopt;
  if (const auto seconds = header_number(asked)) {
    return static_cast<std::int64_t>(std::ceil(*seconds * 1000));
  }
  const std::int64_t date_s = curl_getdate(asked.c_str(), nullptr);
  if (date_s < 0) return std::nullopt;
  return std::max<std::int64_t>(0, date_s * 1000 - now_ms);
}

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
