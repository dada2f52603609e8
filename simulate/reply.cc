// Each fate as a body and a way to send it.

#include "simulate/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "simulate/completion_body.h"

namespace docmill::sim {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr Duration kKeepAliveInterval = milliseconds(50);
constexpr std::string_view kCommentLine = ": keep-alive\n\n";

// OpenRouter's: the upstream failed after 200 had gone out.
std::string upstream_error() {
  return Json{
      {"error",
       {{"code", 502},
        {"message", "Provider returned error"},
        {"metadata", {{"error_type", "provider_unavailable"}, {"provider_name", "Simulated"}}}}}}
      .dump();
}

std::string html_page(std::string_view title) {
  return fmt::format(
      "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
      "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
      title);
}

std::string body_of(const Completion& completion, Fate fate) {
  if (fate == Fate::empty) return "\n\n\n\n";
  if (fate == Fate::error200) {
    return completion.stream ? fmt::format("data: {}\n\ndata: [DONE]\n\n", upstream_error())
                             : upstream_error();
  }
  if (!completion.stream) return completion_json(completion, fate);
  return std::string(kCommentLine) + completion_events(completion, fate);
}

void cut_off(Reply& reply, std::size_t bytes, Ending ending, bool stream) {
  if (!stream) reply.promised_bytes = reply.body.size();
  reply.body.resize(std::min(bytes, reply.body.size()));
  reply.ending = ending;
}

void start_repeating(Reply& reply, std::string body, std::string filler, Duration interval) {
  reply.body = std::move(body);
  reply.filler = std::move(filler);
  reply.filler_interval = interval;
  reply.ending = Ending::repeat;
}

void make_endless(const Completion& completion, Reply& reply) {
  constexpr std::size_t kPortionBytes = 16'384;
  if (!completion.stream) {
    start_repeating(reply, endless_json(completion), std::string(kPortionBytes, 'a'), {});
    return;
  }
  start_repeating(reply, endless_events(completion),
                  delta_event(completion, std::string(kPortionBytes, 'a')), {});
}

struct ErrorText {
  Fate fate;
  std::string_view message;
  std::string_view type;
  std::string_view code;
};

constexpr ErrorText kErrors[] = {
    {Fate::status_400, "Invalid value for 'messages'.", "invalid_request_error", "invalid_value"},
    {Fate::status_401,
     "Incorrect API key provided. You can find your API key at "
     "https://platform.openai.com/account/api-keys.",
     "invalid_request_error", "invalid_api_key"},
    {Fate::bad_key,
     "Incorrect API key provided. You can find your API key at "
     "https://platform.openai.com/account/api-keys.",
     "invalid_request_error", "invalid_api_key"},
    // DeepSeek's, whose type and code mislead.
    {Fate::status_402, "Insufficient Balance", "unknown_error", "invalid_request_error"},
    {Fate::status_408, "Request timed out.", "timeout", ""},
    {Fate::status_500, "The server had an error while processing your request. Sorry about that!",
     "server_error", ""},
    {Fate::status_502, "Bad gateway.", "server_error", ""},
    {Fate::status_503, "The server is currently overloaded. Please try again later.",
     "server_error", "server_is_overloaded"},
    {Fate::insufficient_quota,
     "You exceeded your current quota, please check your plan and billing details. For more "
     "information on this error, read the docs: "
     "https://platform.openai.com/docs/guides/error-codes/api-errors.",
     "insufficient_quota", "insufficient_quota"},
    {Fate::in_flight, "You have reached the limit of concurrent requests. Please try again later.",
     "rate_limit_error", ""},
    {Fate::not_found, "Invalid URL. No such path here.", "invalid_request_error", "unknown_url"},
    {Fate::too_large, "The body is larger than 80 MiB.", "invalid_request_error",
     "request_too_large"},
};

void retry_after(Reply& reply, Duration wait) {
  const std::int64_t us = wait.count();
  reply.headers.emplace_back("retry-after", fmt::format("{}", (us + 999'999) / 1'000'000));
  reply.headers.emplace_back("retry-after-ms", fmt::format("{}", (us + 999) / 1000));
}

}  // namespace

std::string openai_error(std::string_view message, std::string_view type, std::string_view code,
                         std::string_view parameter) {
  const auto or_null = [](std::string_view text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  const Json error{
      {"message", message}, {"type", type}, {"param", or_null(parameter)}, {"code", or_null(code)}};
  return Json{{"error", error}}.dump(2, ' ', false, Json::error_handler_t::replace);
}

void compose_completion(const Completion& completion, const Script& script, Reply& reply) {
  const bool stream = completion.stream;
  reply.headers.emplace_back("content-type", stream ? "text/event-stream" : "application/json");
  reply.body = body_of(completion, reply.fate);
  if (stream) {
    reply.headers.emplace_back("cache-control", "no-cache");
    reply.lead = kCommentLine;
    reply.lead_interval = kKeepAliveInterval;
  }
  switch (reply.fate) {
    case Fate::reset:
      reply.ending = Ending::reset;
      reply.lead.clear();
      break;
    case Fate::cut:
      cut_off(reply, reply.body.size() / 2, Ending::abort, stream);
      break;
    case Fate::stall:
      cut_off(reply, 16, Ending::silence, stream);
      break;
    case Fate::trickle:
      if (!stream) reply.promised_bytes = reply.body.size();
      reply.step_bytes = 1;
      reply.step_interval = script.trickle_interval;
      break;
    case Fate::blank:
      start_repeating(reply, "", stream ? std::string(kCommentLine) : "\n", kKeepAliveInterval);
      reply.latency = {};
      break;
    case Fate::blank_then_answer:
      reply.lead = stream ? kCommentLine : "\n";
      reply.lead_interval = kKeepAliveInterval;
      // Some blank lines even where there is no latency to bridge.
      reply.body.insert(0, "\n\n\n");
      break;
    case Fate::oversize:
      make_endless(completion, reply);
      break;
    case Fate::empty:
      reply.headers.emplace_back("connection", "close");
      break;
    default:
      break;
  }
}

void compose_error(const Script& script, Reply& reply) {
  std::string_view type = "application/json";
  for (const ErrorText& error : kErrors) {
    if (error.fate == reply.fate) reply.body = openai_error(error.message, error.type, error.code);
  }
  if (reply.fate == Fate::status_404) {
    reply.body =
        openai_error(fmt::format("The model `{}` does not exist or you do not have access to it.",
                                 script.base_name),
                     "invalid_request_error", "model_not_found");
  } else if (reply.fate == Fate::status_429) {
    reply.body = openai_error(
        fmt::format("Rate limit reached for {} in organization org-simulated on requests per min "
                    "(RPM). Please try again in {}.",
                    script.base_name, go_duration(script.retry_after)),
        "requests", "rate_limit_exceeded");
    retry_after(reply, script.retry_after);
  } else if (reply.fate == Fate::status_529) {
    reply.body = R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
  } else if (reply.fate == Fate::html || reply.fate == Fate::status_504) {
    reply.body = html_page(reply.status == 504 ? "504 Gateway Time-out" : "502 Bad Gateway");
    type = "text/html";
  }
  reply.headers.emplace_back("content-type", type);
}

void compose_rate_limit(const RateBucket::Grant& grant, std::string_view model, Reply& reply) {
  reply.body = openai_error(
      fmt::format("Rate limit reached for {} in organization org-simulated on requests per min "
                  "(RPM): Limit {}, Used {}, Requested 1. Please try again in {}. Visit "
                  "https://platform.openai.com/account/rate-limits to learn more.",
                  model, grant.limit, grant.limit, go_duration(grant.until_next)),
      "requests", "rate_limit_exceeded");
  reply.headers.emplace_back("content-type", "application/json");
  retry_after(reply, grant.until_next);
}

void add_rate_headers(const RateBucket::Grant& grant, Reply& reply) {
  reply.headers.emplace_back("x-ratelimit-limit-requests", fmt::format("{}", grant.limit));
  reply.headers.emplace_back("x-ratelimit-remaining-requests", fmt::format("{}", grant.remaining));
  reply.headers.emplace_back("x-ratelimit-reset-requests", go_duration(grant.until_full));
}

std::string list_of_models(std::int64_t created_s) {
  Json models = Json::array();
  for (const SimulatedPreset& preset : SimulatorOptions::presets()) {
    models.push_back({{"id", preset.name},
                      {"object", "model"},
                      {"created", created_s},
                      {"owned_by", "simulator"}});
  }
  return Json{{"object", "list"}, {"data", std::move(models)}}.dump();
}

}  // namespace docmill::sim
