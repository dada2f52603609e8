#include "llm/rate_headers.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include "llm/error_body.h"

namespace docmill {
namespace {

constexpr std::int64_t kLongestResetMs = 31 * std::int64_t{86'400'000};

// RFC 3339 in UTC: "2025-02-26T10:03:07Z". Fractions are dropped.
std::optional<std::int64_t> instant_ms(const std::string& text) {
  int year = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0, day = 0;
  if (text.empty() || text.back() != 'Z' ||
      std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d:%2d", &year, &month, &day, &hour, &minute,
                  &second) != 6) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                         std::chrono::day{day}};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000;
}

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
  } else if (const auto at_ms = instant_ms(text)) {
    ms = static_cast<double>(*at_ms - now_ms);
  }
  if (!ms || *ms > static_cast<double>(kLongestResetMs)) return std::nullopt;
  // An instant in whole seconds may be over when the reply comes.
  return static_cast<std::int64_t>(std::max(*ms, 0.0));
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
  const bool says_any = std::any_of(
      reply.headers.begin(), reply.headers.end(),
      [](const Header& header) { return header.name.find("ratelimit-") != std::string::npos; });
  if (!says_any) return hints;
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
