#include "llm/error_body.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxWordsBytes = 400;
// A daily limit is asked again so often, when nothing says when it ends.
constexpr std::int64_t kDailyLimitWaitMs = 900'000;

std::string one_line(std::string_view text) {
  return printable_line(utf8_prefix(trimmed(text), kMaxWordsBytes));
}

void read_metadata(const json& error, ErrorBody& out) {
  const auto metadata = error.find("metadata");  // OpenRouter
  if (metadata == error.end() || !metadata->is_object()) return;
  if (out.code.empty()) out.code = word_at(*metadata, "error_type");
  out.reason = word_at(*metadata, "reason");
  for (const char* key : {"reasons", "flagged_input", "patterns"}) {
    out.is_about_text |= metadata->contains(key);
  }
}

// "try again in 4.2s", "try again in 1m4.296s", "try again in 20 seconds".
std::optional<std::int64_t> wait_in_words(const std::string& message) {
  constexpr std::string_view kWords = "try again in ";
  const std::size_t at = message.find(kWords);
  if (at == std::string::npos) return std::nullopt;
  const std::string_view after = std::string_view(message).substr(at + kWords.size());
  if (const auto duration_ms = parse_go_duration_ms(after)) return duration_ms;
  double number = 0;
  const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), number);
  constexpr double kLongestWait = 1e6;
  if (error != std::errc() || number < 0 || number > kLongestWait) return std::nullopt;
  const std::string_view unit = trimmed(after.substr(static_cast<std::size_t>(end - after.data())));
  struct Unit {
    std::string_view name;
    double ms;
  };
  static constexpr Unit kUnits[] = {
      {"milli", 1}, {"ms", 1}, {"sec", 1000}, {"min", 60'000}, {"hour", 3'600'000}};
  for (const Unit& known : kUnits) {
    if (unit.starts_with(known.name)) return static_cast<std::int64_t>(number * known.ms);
  }
  return std::nullopt;
}

// Gemini: "details": [{"reason": "API_KEY_INVALID"}, {"@type": ".../google.rpc.RetryInfo",
// "retryDelay": "17s"}, {"violations": [{"quotaId": "GenerateRequestsPerDay..."}]}]; others say how
// long to wait in the message.
void read_details(const json& error, ErrorBody& out) {
  const auto details = error.find("details");
  if (details != error.end() && details->is_array()) {
    for (const json& detail : *details) {
      if (!detail.is_object()) continue;
      if (out.code.empty()) out.code = word_at(detail, "reason");
      if (!out.retry_after_ms) {
        out.retry_after_ms = parse_go_duration_ms(word_at(detail, "retryDelay"));
      }
      const auto violations = detail.find("violations");
      if (violations == detail.end() || !violations->is_array()) continue;
      for (const json& violation : *violations) {
        if (violation.is_object()) out.quota += word_at(violation, "quotaId") + " ";
      }
    }
  }
  if (!out.retry_after_ms) out.retry_after_ms = wait_in_words(lower_ascii(out.message));
}

void read_error_object(const json& error, ErrorBody& out) {
  if (error.is_string()) {
    out.message = one_line(error.get<std::string>());
    return;
  }
  if (!error.is_object()) return;
  out.message = one_line(word_at(error, "message"));
  out.type = word_at(error, "type");
  if (out.type.empty()) out.type = word_at(error, "status");  // Gemini
  out.code = word_at(error, "code");
  out.parameter = word_at(error, "param");
  const auto code = error.find("code");
  if (code != error.end() && code->is_number_integer()) {
    const auto number = code->get<std::int64_t>();
    if (number >= 100 && number <= 599) out.status = static_cast<int>(number);
  }
  const auto details = error.find("details");  // Anthropic: the word that tells money from rate
  if (details != error.end() && details->is_object() && out.code.empty()) {
    out.code = word_at(*details, "error_code");
  }
  read_metadata(error, out);
  read_details(error, out);
}

// The first number that stands right after `word`, if there is one.
std::optional<std::int64_t> number_after(const std::string& text, const std::string& word) {
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
    at += word.size();
    std::int64_t number = 0;
    const char* start = text.data() + at;
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(start, end, number);
    // "1,000,000" is not the number 1.
    if (error == std::errc() && !(after != end && *after == ',' && after + 1 != end &&
                                  after[1] >= '0' && after[1] <= '9')) {
      return number;
    }
  }
  return std::nullopt;
}

template <std::size_t N>
bool holds_any(const std::string& text, const std::array<const char*, N>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return text.find(word) != std::string::npos; });
}

struct Words {
  std::string code;     // code and type
  std::string message;  // all lower case
  std::string quota;
};

bool is_money(const Words& words) {
  static constexpr std::array kCodes = {"insufficient_quota",
                                        "credit_balance_exhausted",
                                        "spend_limit",
                                        "organization_usage_limit_exceeded",
                                        "billing_hard_limit_reached",
                                        "billing_error",
                                        "payment_required"};
  static constexpr std::array kMessages = {"api usage limits", "credit balance is too low",
                                           "insufficient balance"};
  return holds_any(words.code, kCodes) || holds_any(words.message, kMessages);
}

bool is_too_long(const Words& words) {
  static constexpr std::array kCodes = {"context_length_exceeded", "exceed_context_size_error",
                                        "token_limit_exceeded", "string_too_long",
                                        "request_too_large"};
  static constexpr std::array kMessages = {"maximum context length", "prompt is too long",
                                           "request too large", "input token count",
                                           "context window"};
  return holds_any(words.code, kCodes) || holds_any(words.message, kMessages);
}

bool is_policy(const Words& words) {
  static constexpr std::array kCodes = {"content_filter", "content_policy", "invalid_prompt",
                                        "moderation", "refusal"};
  static constexpr std::array kMessages = {"content exists risk", "content policy",
                                           "content management policy", "flagged"};
  return holds_any(words.code, kCodes) || holds_any(words.message, kMessages);
}

bool is_parameter(const Words& words) {
  static constexpr std::array kCodes = {"unsupported_parameter", "unsupported_value",
                                        "unknown_parameter"};
  static constexpr std::array kMessages = {"max_completion_tokens", "unrecognized request argument",
                                           "only the default", "extra inputs are not permitted",
                                           "extra_forbidden"};
  return holds_any(words.code, kCodes) || holds_any(words.message, kMessages);
}

bool is_bad_key(const Words& words) {
  static constexpr std::array kMessages = {"api_key_invalid", "api key not valid",
                                           "api key expired", "invalid api key", "invalid_api_key"};
  return holds_any(words.code, kMessages) || holds_any(words.message, kMessages);
}

Outcome made(Ending ending, const char* error_class) {
  Outcome outcome;
  outcome.ending = ending;
  outcome.error_class = error_class;
  return outcome;
}

Outcome outcome_of_400(const Words& words) {
  if (is_money(words)) return made(Ending::provider_down, "out_of_money");
  if (is_bad_key(words)) return made(Ending::provider_down, "bad_key");
  if (words.code.find("failed_precondition") != std::string::npos) {
    return made(Ending::provider_down, "account");
  }
  if (is_too_long(words)) return made(Ending::too_long, "too_long");
  if (is_policy(words)) return made(Ending::refused, "content_policy");
  if (is_parameter(words)) return made(Ending::model_down, "unsupported_parameter");
  return made(Ending::bad_request, "bad_request");
}

Outcome outcome_of_429(const Words& words) {
  if (is_money(words)) return made(Ending::provider_down, "out_of_money");
  const auto limit = number_after(words.message, "limit ");
  const auto requested = number_after(words.message, "requested ");
  const bool never_fits = limit && requested && *requested > *limit;
  if (never_fits || words.message.find("request too large") != std::string::npos) {
    return made(Ending::too_long, "too_long");
  }
  Outcome outcome = made(Ending::rate_limited, "rate_limited");
  // A day's limit: minutes will not do, whatever else is said on the time.
  if (words.message.find("per day") != std::string::npos ||
      words.quota.find("perday") != std::string::npos) {
    outcome.retry_after_ms = kDailyLimitWaitMs;
  }
  return outcome;
}

Outcome may_be_billed(Outcome outcome) {
  outcome.may_be_billed = true;
  return outcome;
}

Outcome outcome_of_5xx(int status, bool bills_errors) {
  Outcome outcome = made(Ending::server_error, "server_error");
  if (status == 502 || status == 503 || status == 529) {
    outcome = made(Ending::overloaded, "overloaded");
    outcome.wait_is_own = status == 529;
  }
  const bool is_gateway = status == 504 || (status >= 520 && status <= 527);
  if (is_gateway) outcome = made(Ending::cut, "gateway");
  outcome.may_be_billed = is_gateway || bills_errors;
  return outcome;
}

Outcome outcome_by_table(int status, const Words& words, const ErrorBody& error,
                         bool bills_errors) {
  if (status >= 500) return outcome_of_5xx(status, bills_errors);
  switch (status) {
    case 400:
      return outcome_of_400(words);
    case 422: {
      // Invalid in this request; a parameter that is wrong in each opens the breaker.
      const Outcome outcome = outcome_of_400(words);
      if (outcome.ending != Ending::model_down) return outcome;
      return made(Ending::bad_request, "unsupported_parameter");
    }
    case 401:
      return made(Ending::provider_down, "bad_key");
    case 402:
      // Credit is held for requests in flight; it comes back.
      if (error.reason == "in_flight_budget_exhausted") {
        return made(Ending::rate_limited, "rate_limited");
      }
      // The answer's limit alone costs more than there is: another model may be cheaper.
      if (error.reason == "weight_exceeds_budget") return made(Ending::too_long, "too_long");
      return made(Ending::provider_down, "out_of_money");
    case 403:
      if (is_policy(words) || error.is_about_text) return made(Ending::refused, "content_policy");
      return made(Ending::model_down, "forbidden");
    case 404:
      return made(Ending::model_down, "not_found");
    case 408:
      return may_be_billed(made(Ending::cut, "timeout"));
    case 409:
    case 424:
    case 425:
      return made(Ending::server_error, "server_error");
    case 498:  // no capacity for the flex tier
      return made(Ending::rate_limited, "rate_limited");
    case 413:
      return made(Ending::too_long, "too_long");
    case 429:
      return outcome_of_429(words);
    case 499:
      return may_be_billed(made(Ending::cut, "cancelled_there"));
    default:
      break;
  }
  if (status >= 300 && status < 400) return made(Ending::provider_down, "redirect");
  return made(Ending::bad_request, "bad_request");
}

}  // namespace

std::optional<std::int64_t> parse_go_duration_ms(std::string_view text) {
  double total_ms = 0;
  bool is_any = false;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number > 1e9) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    // "ms" before "m", or milliseconds would be minutes.
    struct Unit {
      std::string_view name;
      double ms;
    };
    static constexpr Unit kUnits[] = {{"ms", 1},        {"us", 0.001}, {"ns", 0.000001},
                                      {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const Unit& u) { return text.starts_with(u.name); });
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(unit->name.size());
    total_ms += number * unit->ms;
    is_any = true;
  }
  constexpr double kThousandYearsMs = 3.2e13;
  if (!is_any || total_ms > kThousandYearsMs) return std::nullopt;
  return static_cast<std::int64_t>(std::ceil(total_ms));
}

ErrorBody read_error_body(const std::string& body) {
  ErrorBody out;
  const auto parsed = parse_json(body);
  if (!parsed) {
    out.message = one_line(body);
    return out;
  }
  const json* value = &*parsed;
  if (value->is_array() && !value->empty()) value = &value->front();
  if (value->is_object()) {
    if (const auto error = value->find("error"); error != value->end()) {
      read_error_object(*error, out);
    } else if (const auto detail = value->find("detail"); detail != value->end()) {
      out.message = one_line(detail->is_string() ? detail->get<std::string>() : to_text(*detail));
    }
  }
  if (out.message.empty()) out.message = one_line(body);
  return out;
}

int status_of(const ErrorBody& error) {
  if (error.status >= 400) return error.status;
  struct Type {
    std::string_view word;
    int status;
  };
  static constexpr Type kTypes[] = {
      {"overloaded", 529},           {"rate_limit", 429},     {"insufficient_quota", 429},
      {"authentication_error", 401}, {"billing_error", 402},  {"permission_error", 403},
      {"not_found_error", 404},      {"timeout_error", 504},  {"request_too_large", 413},
      {"context_length", 400},       {"content_filter", 400}, {"invalid_request", 400},
  };
  const std::string words = lower_ascii(error.code + " " + error.type);
  for (const Type& type : kTypes) {
    if (words.find(type.word) != std::string::npos) return type.status;
  }
  return 500;
}

Outcome outcome_of_status(int status, const ErrorBody& error, bool bills_errors) {
  const Words words{lower_ascii(error.code + " " + error.type), lower_ascii(error.message),
                    lower_ascii(error.quota)};
  Outcome outcome = outcome_by_table(status, words, error, bills_errors);
  outcome.error_message = "HTTP " + std::to_string(status);
  if (!error.code.empty()) outcome.error_message += " " + one_line(error.code);
  if (!error.message.empty()) outcome.error_message += ": " + error.message;
  return outcome;
}

}  // namespace docmill
