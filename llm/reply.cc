#include "llm/reply.h"

#include <utf8.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "llm/error_body.h"
#include "llm/json_text.h"
#include "llm/rate_headers.h"
#include "llm/request.h"
#include "llm/usage.h"

namespace docmill {
namespace {

constexpr std::size_t kMaxMessageBytes = 500;

void set_outcome(DecodedReply& decoded, Ending ending, std::string error_class,
                 std::string message) {
  decoded.outcome.ending = ending;
  decoded.outcome.error_class = std::move(error_class);
  decoded.outcome.error_message = std::move(message);
}

struct ExchangeRule {
  Ending ending;
  const char* error_class;
  const char* message;
};

ExchangeRule rule_of(Exchange exchange) {
  switch (exchange) {
    case Exchange::complete:
      break;
    case Exchange::not_sent:
      return {Ending::not_sent, "not_sent", "no connection"};
    case Exchange::certificate:
      return {
          Ending::provider_down, "certificate",
          "the provider's certificate is not accepted; a CA of your own network goes into ca_file"};
    case Exchange::first_byte_timeout:
      return {Ending::cut, "timeout", "no answer before first_byte_timeout"};
    case Exchange::stalled:
      return {Ending::cut, "stalled", "the answer began and then stopped"};
    case Exchange::deadline:
      return {Ending::cut, "deadline", "not answered before the deadline"};
    case Exchange::too_slow:
      return {Ending::too_slow, "max_latency", "not answered within the chain's max_latency"};
    case Exchange::cut:
      return {Ending::cut, "cut", "connection lost before the answer was whole"};
    case Exchange::resend_stopped:
      return {Ending::cut, "cut", "connection lost before the answer; not sent again by itself"};
    case Exchange::oversize:
      return {Ending::cut, "oversize", "the reply passed max_reply"};
    case Exchange::bad_encoding:
      return {Ending::cut, "bad_encoding", "the reply could not be decompressed"};
    case Exchange::aborted:
      return {Ending::aborted, "aborted", "ended by docmill"};
  }
  return {Ending::cut, "cut", ""};
}

bool is_success(int status) {
  return status >= 200 && status < 300;
}

bool is_sent(Exchange exchange) {
  return exchange != Exchange::not_sent && exchange != Exchange::certificate;
}

// content as a string, or the text parts of an array.
std::string text_of(JsonView content) {
  std::string text;
  add_text(content, text);
  return text;
}

enum class Finish { whole, truncated, too_long, refused, other };

// The providers' own words, and those of native APIs that leak through relays.
Finish finish_of(const std::string& reason) {
  const std::string word = lower_ascii(reason);
  if (word == "stop" || word == "end_turn" || word == "stop_sequence") return Finish::whole;
  if (word == "length" || word == "max_tokens") return Finish::truncated;
  if (word == "model_context_window_exceeded") return Finish::too_long;
  if (word == "content_filter" || word == "refusal" || word == "safety" || word == "recitation" ||
      word == "prohibited_content" || word == "blocklist") {
    return Finish::refused;
  }
  return Finish::other;
}

// Something that a reader would see: white space of any script and width is nothing.
bool has_content(std::string_view text) {
  if (!text.empty() && text.front() > ' ' && text.front() < 0x7f) return true;
  if (!is_valid_utf8(text)) return true;
  for (auto it = text.begin(); it != text.end();) {
    const std::uint32_t c = utf8::unchecked::next(it);
    const bool is_space = c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x1680 ||
                          (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
                          (c >= 0x205f && c <= 0x2064) || c == 0x3000 || c == 0xfeff || c == 0xad;
    if (!is_space) return true;
  }
  return false;
}

// What else a reply holds beside its text.
struct Aside {
  bool has_refusal = false;
  std::size_t reasoning_bytes = 0;
};

// Raising the limit helps, splitting the document does not.
bool is_overthought(const DecodedReply& decoded, const Aside& aside) {
  if (decoded.usage && decoded.usage->reasoning_tokens > 0) {
    return decoded.usage->reasoning_tokens > decoded.usage->output_tokens / 2;
  }
  // A limit that was reached without a word of the answer went to something else.
  if (!has_content(decoded.text)) return true;
  return aside.reasoning_bytes > decoded.text.size();
}

void judge_answer(DecodedReply& decoded, const Aside& aside) {
  const bool has_refusal = aside.has_refusal;
  std::string said = printable_line(utf8_prefix(decoded.finish_reason, 40));
  if (said.empty()) said = "none";
  switch (has_refusal ? Finish::refused : finish_of(decoded.finish_reason)) {
    case Finish::refused:
      return set_outcome(decoded, Ending::refused, "refused",
                         "the model refused (finish_reason " + said + ")");
    case Finish::truncated:
      if (is_overthought(decoded, aside)) {
        return set_outcome(decoded, Ending::overthought, "reasoning_exhausted",
                           "reasoning took most of the output limit");
      }
      return set_outcome(decoded, Ending::truncated, "truncated",
                         "the answer was cut off by its length limit");
    case Finish::too_long:
      return set_outcome(decoded, Ending::too_long, "too_long",
                         "the answer reached the end of the model's context");
    case Finish::other:
      decoded.text.clear();
      return set_outcome(decoded, Ending::bad_reply, "incomplete",
                         "the answer is not whole (finish_reason " + said + ")");
    case Finish::whole:
      break;
  }
  if (!has_content(decoded.text)) {
    decoded.text.clear();
    return set_outcome(decoded, Ending::bad_reply, "no_content", "the answer has no content");
  }
  decoded.outcome = Outcome{};
}

void decode_openai(JsonView body, DecodedReply& decoded) {
  const auto choices = filled_array_at(body, "choices");
  const std::optional<JsonView> choice = choices ? std::optional(*choices->begin()) : std::nullopt;
  if (!choice || !choice->is_object()) {
    return set_outcome(decoded, Ending::bad_reply, "no_choices", "the reply has no choices");
  }
  decoded.finish_reason = word_at(*choice, "finish_reason");
  Aside aside;
  if (const auto message = object_at(*choice, "message")) {
    if (const auto content = member(*message, "content")) decoded.text = text_of(*content);
    aside.has_refusal = !word_at(*message, "refusal").empty();
    aside.reasoning_bytes = std::max(word_at(*message, "reasoning_content").size(),
                                     word_at(*message, "reasoning").size());
  }
  judge_answer(decoded, aside);
}

void decode_anthropic(JsonView body, DecodedReply& decoded) {
  decoded.finish_reason = word_at(body, "stop_reason");
  Aside aside;
  if (const auto content = member(body, "content")) {
    decoded.text = text_of(*content);
    if (content->is_array()) {
      for (const JsonView part : simdjson::dom::array(*content)) {
        aside.reasoning_bytes += word_at(part, "thinking").size();
      }
    }
  }
  judge_answer(decoded, aside);
}

// An error inside of a reply whose status was 200. It is what its code says, refusals at no cost
// included; but where part of an answer stands beside it, that may be billed.
void set_late_error(const std::string& body, bool has_part, DecodedReply& decoded) {
  const ErrorBody said = read_error_body(body);
  decoded.outcome = outcome_of_status(status_of(said), said, true);
  decoded.outcome.may_be_billed |= has_part;
  if (said.retry_after_ms) decoded.outcome.retry_after_ms = said.retry_after_ms;
}

std::string model_word(std::string_view word) {
  return printable_line(utf8_prefix(word, 200));
}

void decode_stream(const HttpReply& reply, const Provider& provider, DecodedReply& decoded) {
  const StreamedReply& streamed = *reply.streamed;
  decoded.text = streamed.text;
  decoded.finish_reason = streamed.finish_reason;
  decoded.model_returned = model_word(streamed.model);
  decoded.service_tier = model_word(streamed.service_tier);
  // After [DONE] nothing can be missing, however the connection ends.
  const bool is_whole = reply.exchange == Exchange::complete || streamed.is_ended;
  // One that comes with every delta is the bill only once the answer has its end.
  const bool has_ended = streamed.is_ended || !streamed.finish_reason.empty();
  if (is_whole && has_ended && streamed.has_final_usage) {
    if (const auto usage = view_json(streamed.usage_json)) {
      decoded.usage = read_usage(*usage, provider);
      decoded.reported_pusd = read_reported_pusd(*usage);
    }
    decoded.usage_json = streamed.usage_json;
  }
  if (!streamed.error_json.empty()) {
    const bool has_part =
        !streamed.text.empty() || streamed.reasoning_bytes > 0 || !streamed.usage_json.empty();
    decoded.text.clear();
    set_late_error(streamed.error_json, has_part, decoded);
    return;
  }
  if (!is_whole) {
    const ExchangeRule rule = rule_of(reply.exchange);
    decoded.text.clear();
    set_outcome(decoded, rule.ending, rule.error_class, rule.message);
    if (!reply.detail.empty()) decoded.outcome.error_message += " (" + reply.detail + ")";
  } else if (streamed.is_malformed) {
    decoded.text.clear();
    set_outcome(decoded, Ending::bad_reply, "not_json", "an event of the stream is not JSON");
  } else {
    judge_answer(decoded,
                 {streamed.has_refusal, static_cast<std::size_t>(streamed.reasoning_bytes)});
  }
  decoded.outcome.may_be_billed = !decoded.usage;
}

void decode_success(const HttpReply& reply, const Provider& provider, DecodedReply& decoded) {
  const auto body = view_json(trimmed(reply.body));
  if (!body || !body->is_object()) {
    const char* what = is_blank(reply.body) ? "empty_reply" : "not_json";
    set_outcome(decoded, Ending::bad_reply, what,
                "HTTP " + std::to_string(reply.status) +
                    (is_blank(reply.body) ? " without a body"
                                          : ", but the body is not the JSON of an answer"));
    decoded.outcome.may_be_billed = true;
    return;
  }
  decoded.model_returned = model_word(word_at(*body, "model"));
  decoded.service_tier = model_word(word_at(*body, "service_tier"));
  if (const auto usage = object_at(*body, "usage")) {
    decoded.usage = read_usage(*usage, provider);
    decoded.reported_pusd = read_reported_pusd(*usage);
    decoded.usage_json = to_text(*usage);
    if (decoded.service_tier.empty()) {  // Anthropic's place for it
      decoded.service_tier = model_word(word_at(*usage, "service_tier"));
    }
  }
  if (has_error(*body)) {
    return set_late_error(reply.body, filled_array_at(*body, "choices").has_value(), decoded);
  }
  if (provider.dialect == Dialect::openai) {
    decode_openai(*body, decoded);
  } else {
    decode_anthropic(*body, decoded);
  }
  decoded.outcome.may_be_billed = !decoded.usage;
}

void decode_failure(const HttpReply& reply, const Provider& provider, DecodedReply& decoded) {
  const ErrorBody error = read_error_body(reply.body);
  decoded.outcome = outcome_of_status(reply.status, error, provider.bills_errors);
  if (error.retry_after_ms) {
    decoded.outcome.retry_after_ms =
        std::max(*error.retry_after_ms, decoded.outcome.retry_after_ms.value_or(0));
  }
  if (reply.status < 400) {
    decoded.outcome.error_message +=
        ", to " + printable_line(utf8_prefix(reply.header("location"), 200));
  }
  decoded.outcome.no_retry = reply.header("x-should-retry") == "false";
  if (decoded.outcome.error_class == "unsupported_parameter" || reply.status == 422) {
    decoded.refused_parameter = lower_ascii(error.parameter + " " + error.message);
  }
  // An error that says what it used is billed for that.
  const auto body = view_json(reply.body);
  const auto usage = body ? object_at(*body, "usage") : std::nullopt;
  if (!usage) return;
  decoded.usage = read_usage(*usage, provider);
  if (decoded.usage) decoded.usage_json = to_text(*usage);
}

std::optional<std::int64_t> provider_time_ms(const HttpReply& reply) {
  if (const auto value = header_number(reply.header("openai-processing-ms"))) {
    return static_cast<std::int64_t>(*value);
  }
  // "127ms", "0.127s" or a bare number of ms.
  std::string said = reply.header("x-response-time");
  double factor = 1;
  if (said.ends_with("ms")) {
    said.resize(said.size() - 2);
  } else if (said.ends_with("s")) {
    said.resize(said.size() - 1);
    factor = 1000;
  }
  if (const auto value = header_number(std::string(trimmed(said)))) {
    return static_cast<std::int64_t>(*value * factor);
  }
  return std::nullopt;
}

std::string request_id_of(const HttpReply& reply) {
  for (const char* name : {"x-request-id", "request-id", "x-generation-id", "cf-ray"}) {
    const std::string& id = reply.header(name);
    if (!id.empty()) return printable_line(utf8_prefix(id, 200));
  }
  return {};
}

}  // namespace

const std::string& HttpReply::header(const std::string& name) const {
  static const std::string none;
  for (const Header& header : headers) {
    if (header.name == name) return header.value;
  }
  return none;
}

DecodedReply decode_reply(const HttpReply& reply, const Provider& provider) {
  DecodedReply decoded;
  decoded.request_id = request_id_of(reply);
  decoded.provider_ms = provider_time_ms(reply);
  if (reply.streamed) {
    decode_stream(reply, provider, decoded);
  } else if (reply.exchange != Exchange::complete) {
    const ExchangeRule rule = rule_of(reply.exchange);
    set_outcome(decoded, rule.ending, rule.error_class, rule.message);
    if (!reply.detail.empty()) decoded.outcome.error_message += " (" + reply.detail + ")";
    decoded.outcome.may_be_billed = is_sent(reply.exchange);
  } else if (is_success(reply.status)) {
    decode_success(reply, provider, decoded);
  } else {
    decode_failure(reply, provider, decoded);
  }
  Outcome& outcome = decoded.outcome;
  outcome.was_billed = decoded.usage.has_value();
  if (outcome.was_billed) outcome.may_be_billed = false;
  if (outcome.ending == Ending::answered) return decoded;
  // Header and body may say different times, of different limits: the longer one holds.
  if (const auto asked_ms = retry_after_ms(reply, reply.received_at_ms)) {
    outcome.retry_after_ms = std::max(*asked_ms, outcome.retry_after_ms.value_or(0));
  }
  outcome.error_message = utf8_prefix(outcome.error_message, kMaxMessageBytes);
  return decoded;
}

void check_pin(DecodedReply& decoded, const Model& model) {
  if (decoded.outcome.ending != Ending::answered || model.pin.empty()) return;
  if (decoded.model_returned == model.pin) return;
  const std::string who =
      decoded.model_returned.empty() ? "an unnamed model" : decoded.model_returned;
  set_outcome(decoded, Ending::model_changed, "model_changed",
              who + " answered, and " + model.pin + " is pinned");
}

std::optional<std::string> raw_answer(const HttpReply& reply) {
  if (reply.exchange != Exchange::complete || !is_success(reply.status) || reply.streamed) {
    return std::nullopt;
  }
  const auto body = view_json(reply.body);
  if (!body || !filled_array_at(*body, "choices") || has_error(*body)) return std::nullopt;
  return std::string(trimmed(reply.body));
}

std::string estimated_usage_json(const HttpReply& reply, std::int64_t input_tokens) {
  if (!reply.streamed || reply.streamed->text.size() + reply.streamed->reasoning_bytes == 0) {
    return {};
  }
  // Reasoning is not kept, so its tokens are counted as those of Latin text.
  const std::int64_t output_tokens =
      estimated_tokens(reply.streamed->text) + reply.streamed->reasoning_bytes * 3 / 10;
  return to_text(nlohmann::json{
      {"estimated", true}, {"prompt_tokens", input_tokens}, {"completion_tokens", output_tokens}});
}

Settlement settlement_of(const DecodedReply& decoded, const HttpReply& reply,
                         const Billing& billing) {
  Settlement settlement;
  settlement.outcome =
      decoded.outcome.ending == Ending::answered ? "answered" : decoded.outcome.error_class;
  settlement.error_message = decoded.outcome.error_message;
  if (reply.status != 0) settlement.http_status = reply.status;
  settlement.provider_request_id = decoded.request_id;
  settlement.model_returned = decoded.model_returned;
  settlement.service_tier = decoded.service_tier;
  settlement.finish_reason = printable_line(utf8_prefix(decoded.finish_reason, 40));
  settlement.usage = decoded.usage;
  settlement.usage_json = decoded.usage_json;
  settlement.provider_ms = decoded.provider_ms;
  if (reply.first_byte_ms >= 0) settlement.first_byte_ms = reply.first_byte_ms;
  settlement.total_ms = reply.total_ms;
  settlement.reported_pusd = decoded.reported_pusd;
  const bool is_priority = billing.base_is_priority &&
                           (decoded.service_tier == "priority" || decoded.service_tier == "fast");
  std::optional<std::int64_t> usage_pusd;
  if (decoded.usage && billing.price) {
    usage_pusd = cost_pusd(*decoded.usage, billing.price->price,
                           is_priority ? std::string() : decoded.service_tier, billing.sent_at_ms);
  }
  if (usage_pusd) settlement.price = billing.price->id;
  if (usage_pusd) {
    settlement.cost_basis = "usage";
    settlement.cost_pusd = usage_pusd;
  } else if (decoded.reported_pusd) {
    settlement.cost_basis = "provider";
    settlement.cost_pusd = decoded.reported_pusd;
  } else if (decoded.usage) {
    settlement.cost_basis = "unpriced";
  } else if (decoded.outcome.may_be_billed) {
    settlement.cost_basis = "unknown";
  } else {
    settlement.cost_basis = "zero";
    settlement.cost_pusd = 0;
  }
  return settlement;
}

}  // namespace docmill
