// What each failure means and whether it costs: the taxonomy row by row, with the bodies that
// providers send. The error's kind decides what becomes of the job, of its model and of all others
// that wait for the provider; the cost column decides what stays reserved under a cap.

#include "llm/error_body.h"

#include "base/text.h"
#include "llm/reply.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

constexpr const char* kZero = "zero";
constexpr const char* kUnknown = "unknown";

struct Row {
  const char* what;
  int status;
  std::string body;
  Ending ending;
  const char* error_class;
  const char* cost_basis;
};

HttpReply http(int status, const std::string& body) {
  HttpReply reply;
  reply.status = status;
  reply.body = body;
  reply.received_at_ms = 1'795'490'000'000;
  return reply;
}

void check_row(const Row& row, const Provider& provider = {}) {
  INFO(row.status << " " << row.what);
  const HttpReply reply = http(row.status, row.body);
  const DecodedReply decoded = decode_reply(reply, provider);
  const std::string ending = to_string(decoded.outcome.ending);
  CHECK(ending == to_string(row.ending));
  CHECK(decoded.outcome.error_class == row.error_class);
  CHECK(decoded.outcome.may_be_billed == (row.cost_basis == kUnknown));
  CHECK(decoded.text.empty());
  const PriceRow price{PriceId{7}, ModelPrice{2'000'000, 500'000, 2'500'000, 8'000'000}};
  const Settlement settlement = settlement_of(decoded, reply, {price});
  CHECK(settlement.cost_basis == row.cost_basis);
  CHECK(settlement.cost_pusd ==
        (row.cost_basis == kZero ? std::optional<std::int64_t>(0) : std::nullopt));
  CHECK(settlement.outcome == row.error_class);
  CHECK(settlement.http_status == row.status);
}

void check_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) check_row(row);
}

// {"error":{"message":...,"type":...,"param":null,"code":...}}
std::string openai(const std::string& message, const std::string& type, const std::string& code) {
  const std::string quoted = code.empty() ? "null" : '"' + code + '"';
  return R"({"error":{"message":")" + message + R"(","type":")" + type +
         R"(","param":null,"code":)" + quoted + "}}";
}

std::string anthropic(const std::string& type, const std::string& message,
                      const std::string& details = "null") {
  return R"({"type":"error","error":{"type":")" + type + R"(","message":")" + message +
         R"(","details":)" + details + R"(},"request_id":"req_011CS"})";
}

std::string openrouter(int code, const std::string& message, const std::string& metadata) {
  return R"({"error":{"code":)" + std::to_string(code) + R"(,"message":")" + message +
         R"(","metadata":)" + metadata + "}}";
}

std::string gemini(int code, const std::string& message, const std::string& status,
                   const std::string& details = "[]") {
  return R"([{"error":{"code":)" + std::to_string(code) + R"(,"message":")" + message +
         R"(","status":")" + status + R"(","details":)" + details + "}}]";
}

const std::string kInvalid = "invalid_request_error";
const std::string kHtml =
    "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center>"
    "<h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>";

}  // namespace

TEST_CASE("errors: 400, the text does not fit the model") {
  const auto row = [](const char* what, const std::string& body) {
    check_row({what, 400, body, Ending::too_long, "too_long", kZero});
  };
  row("OpenAI", openai("This model's maximum context length is 8192 tokens. However, your messages "
                       "resulted in 9001 tokens. Please reduce the length of the messages.",
                       kInvalid, "context_length_exceeded"));
  row("vLLM", R"({"error":{"message":"This model's maximum context length is 4096 tokens. However,)"
              R"( you requested 5000 tokens","type":"BadRequestError","param":null,"code":400}})");
  row("older vLLM",
      R"({"object":"error","message":"This model's maximum context length is 4096 tokens.",)"
      R"("type":"BadRequestError","param":null,"code":400})");
  row("Anthropic", anthropic(kInvalid, "prompt is too long: 210000 tokens > 200000 maximum"));
  row("llama.cpp",
      R"({"error":{"code":400,"message":"the request exceeds the available size","type":)"
      R"("exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}})");
  row("Gemini", gemini(400,
                       "The input token count (1200000) exceeds the maximum number of tokens "
                       "allowed (1048576).",
                       "INVALID_ARGUMENT"));
  for (const char* type : {"context_length_exceeded", "token_limit_exceeded", "string_too_long"}) {
    row(type, openrouter(400, "Provider returned error",
                         std::string(R"({"error_type":")") + type + R"("})"));
  }
}

TEST_CASE("errors: 400, a parameter that this model does not take") {
  const auto row = [](const std::string& message, const std::string& code) {
    check_row({"parameter", 400, openai(message, kInvalid, code), Ending::model_down,
               "unsupported_parameter", kZero});
  };
  row("Unsupported parameter: 'max_tokens' is not supported with this model.",
      "unsupported_parameter");
  row("Use 'max_completion_tokens' instead.", "");
  row("Unsupported value.", "unsupported_value");
  row("'temperature' does not support 0.3 with this model. Only the default (1) value is "
      "supported.",
      "");
  row("Unrecognized request argument supplied: thinking", "");
}

TEST_CASE("errors: 400, the account and not the request") {
  check_rows({
      {"Anthropic's limit", 400,
       anthropic(kInvalid,
                 "You have reached your specified API usage limits. You will regain access on "
                 "2026-12-01 at 00:00 UTC."),
       Ending::provider_down, "out_of_money", kZero},
      {"Anthropic's workspace limit", 400,
       anthropic(kInvalid, "You have reached your specified workspace API usage limits."),
       Ending::provider_down, "out_of_money", kZero},
      {"Anthropic, old form", 400,
       anthropic(kInvalid, "Your credit balance is too low to access the Anthropic API."),
       Ending::provider_down, "out_of_money", kZero},
      {"Gemini's billing", 400,
       gemini(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"),
       Ending::provider_down, "account", kZero},
      {"Gemini's bad key", 400,
       gemini(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT",
              R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo",)"
              R"("reason":"API_KEY_INVALID","domain":"googleapis.com"}])"),
       Ending::provider_down, "bad_key", kZero},
  });
}

// The reason tells a bad key from a bad request; the message is for people and changes.
TEST_CASE("errors: 400, Gemini names a bad key in details.reason") {
  check_row({"expired", 400,
             gemini(400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT",
                    R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo",)"
                    R"("reason":"API_KEY_INVALID","domain":"googleapis.com"}])"),
             Ending::provider_down, "bad_key", kZero});
}

TEST_CASE("errors: 400, a text that the provider does not want") {
  const auto row = [](const std::string& body) {
    check_row({"policy", 400, body, Ending::refused, "content_policy", kZero});
  };
  row(
      openai("The response was filtered due to the prompt triggering Azure OpenAI's content "
             "management policy.",
             "", "content_filter"));
  row(openai("Your request was rejected by our safety system.", kInvalid,
             "content_policy_violation"));
  row(openai("Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
             kInvalid, "invalid_prompt"));
  row(openai("Content Exists Risk", kInvalid, "invalid_request_error"));
  row(openrouter(400, "Provider returned error", R"({"error_type":"content_policy_violation"})"));
}

TEST_CASE("errors: 400 and 422, a request that is wrong whoever is asked") {
  const auto row = [](int status, const std::string& body) {
    check_row({"bad", status, body, Ending::bad_request, "bad_request", kZero});
  };
  row(400, openai("Invalid 'messages': empty array.", kInvalid, "empty_array"));
  row(400, openai("We could not parse the JSON body of your request.", kInvalid, ""));
  row(400, R"({"error":"json: cannot unmarshal string into Go value"})");
  row(400, R"({"message":"no error key at all"})");
  row(400, "");
  row(400, "not JSON");
  row(400, "[]");
  row(400, "null");
  row(400, R"({"error":null})");
  row(400, R"({"error":{"message":["a","list"],"type":7,"code":1.5}})");
  row(422, openai("Invalid parameter: max_tokens", "unknown_error", "invalid_request_error"));
  row(422, R"({"detail":[{"loc":["body","messages"],"msg":"field required"}]})");
  row(422, R"({"detail":"Unprocessable"})");
}

TEST_CASE("errors: 401 to 404") {
  check_rows({
      {"OpenAI", 401, openai("Incorrect API key provided: sk-x.", kInvalid, "invalid_api_key"),
       Ending::provider_down, "bad_key", kZero},
      {"Anthropic", 401, anthropic("authentication_error", "invalid x-api-key"),
       Ending::provider_down, "bad_key", kZero},
      {"DeepSeek, verbatim", 402,
       R"({"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,)"
       R"("code":"invalid_request_error"}})",
       Ending::provider_down, "out_of_money", kZero},
      {"Anthropic", 402, anthropic("billing_error", "Your account has a billing issue."),
       Ending::provider_down, "out_of_money", kZero},
      {"OpenRouter", 402,
       openrouter(402, "Insufficient credits", R"({"error_type":"payment_required"})"),
       Ending::provider_down, "out_of_money", kZero},
      {"Anthropic", 403, anthropic("permission_error", "Your API key may not use this resource."),
       Ending::model_down, "forbidden", kZero},
      {"country", 403,
       openai("Country, region, or territory not supported", "request_forbidden",
              "unsupported_country_region_territory"),
       Ending::model_down, "forbidden", kZero},
      {"OpenRouter's moderation", 403,
       openrouter(403, "Your chosen model requires moderation and your input was flagged.",
                  R"({"reasons":["violence"],"flagged_input":"..."})"),
       Ending::refused, "content_policy", kZero},
      {"OpenAI", 404,
       openai("The model `x` does not exist or you do not have access to it.", kInvalid,
              "model_not_found"),
       Ending::model_down, "not_found", kZero},
      {"Ollama", 404, openai(R"(model \"x\" not found, try pulling it first)", "api_error", ""),
       Ending::model_down, "not_found", kZero},
      {"Ollama's own", 404, R"({"error":"model 'x' not found"})", Ending::model_down, "not_found",
       kZero},
      {"a wrong path", 404, "404 page not found", Ending::model_down, "not_found", kZero},
  });
}

// OpenRouter holds credit for calls in flight: that passes by itself, and is no empty account.
TEST_CASE("errors: 402 for credit that is held in flight is a wait") {
  HttpReply reply = http(402, openrouter(402, "Insufficient credits for this request",
                                         R"({"error_type":"payment_required","limit_source":)"
                                         R"("openrouter_in_flight_budget","reason":)"
                                         R"("in_flight_budget_exhausted"})"));
  reply.headers = {{"retry-after", "3"}};

  const DecodedReply decoded = decode_reply(reply, Provider{});

  CHECK(decoded.outcome.ending == Ending::rate_limited);
  CHECK_FALSE(decoded.outcome.may_be_billed);
  CHECK(decoded.outcome.retry_after_ms == 3000);
}

// One document that a guardrail stops is no reason to pause the model for all others.
TEST_CASE("errors: 403 with the patterns or reasons of a guardrail is about the text") {
  for (const char* metadata :
       {R"({"patterns":["ssn"]})", R"({"flagged_input":"..."})", R"({"reasons":["self-harm"]})"}) {
    check_row({metadata, 403, openrouter(403, "Request blocked", metadata), Ending::refused,
               "content_policy", kZero});
  }
}

TEST_CASE("errors: the other 4xx") {
  check_rows({
      {"timeout", 408, openrouter(408, "Request timed out", "null"), Ending::cut, "timeout",
       kUnknown},
      {"conflict", 409, anthropic("conflict_error", "Conflict"), Ending::server_error,
       "server_error", kZero},
      {"Anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"),
       Ending::too_long, "too_long", kZero},
      {"nginx", 413, "<html><h1>413 Request Entity Too Large</h1></html>", Ending::too_long,
       "too_long", kZero},
      {"Groq", 413, openai("Request too large for model", "tokens", "rate_limit_exceeded"),
       Ending::too_long, "too_long", kZero},
      {"failed dependency", 424, "", Ending::server_error, "server_error", kZero},
      {"too early", 425, "", Ending::server_error, "server_error", kZero},
      {"Groq's flex", 498, openai("capacity_exceeded", "", ""), Ending::rate_limited,
       "rate_limited", kZero},
      {"Ollama cancelled", 499, R"({"error":"request cancelled"})", Ending::cut, "cancelled_there",
       kUnknown},
      {"method", 405, "", Ending::bad_request, "bad_request", kZero},
      {"gone", 410, "", Ending::bad_request, "bad_request", kZero},
      {"teapot", 418, "", Ending::bad_request, "bad_request", kZero},
      {"legal", 451, "", Ending::bad_request, "bad_request", kZero},
  });
}

TEST_CASE("errors: 429 for money pauses the provider") {
  const auto row = [](const std::string& body) {
    check_row({"money", 429, body, Ending::provider_down, "out_of_money", kZero});
  };
  row(openai("You exceeded your current quota, please check your plan and billing details.",
             "insufficient_quota", "insufficient_quota"));
  row(openai("You exceeded your current quota.", "insufficient_quota", ""));
  for (const char* code : {"insufficient_quota", "credit_balance_exhausted",
                           "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
                           "organization_usage_limit_exceeded", "billing_hard_limit_reached"}) {
    row(openai("No.", "", code));
  }
  row(anthropic("rate_limit_error", "Spend limit reached.",
                R"({"error_code":"enforced_spend_limit_reached"})"));
}

TEST_CASE("errors: 429 for a request that never fits is not waited for") {
  check_row({"verbatim", 429,
             openai("Request too large for gpt-4o in organization org-x on tokens per min (TPM): "
                    "Limit 30000, Requested 34102. The input or output tokens must be reduced.",
                    "tokens", "rate_limit_exceeded"),
             Ending::too_long, "too_long", kZero});
}

TEST_CASE("errors: 429 with more requested than the limit is such a request, too") {
  check_row({"other words", 429,
             openai("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 0, "
                    "Requested 34102.",
                    "tokens", "rate_limit_exceeded"),
             Ending::too_long, "too_long", kZero});
}

TEST_CASE("errors: of the times that are said the longest holds") {
  const auto wait_ms = [](const std::string& body, std::vector<Header> headers) {
    HttpReply reply = http(429, body);
    reply.headers = std::move(headers);
    return decode_reply(reply, {}).outcome.retry_after_ms;
  };
  const std::string body = openai("Rate limit. Please try again in 20s.", "", "");
  CHECK(wait_ms(body, {}) == 20'000);
  CHECK(wait_ms(body, {{"retry-after", "1"}}) == 20'000);
  CHECK(wait_ms(body, {{"retry-after", "60"}}) == 60'000);
  CHECK(wait_ms(openai("Please try again in 20 seconds.", "", ""), {}) == 20'000);
  CHECK(wait_ms(openai("Try again in 1.5 minutes", "", ""), {}) == 90'000);
  CHECK(wait_ms(openai("Try again in a while", "", ""), {}) == std::nullopt);
  // A day's limit, whatever the delay that stands beside it.
  const std::string per_day =
      gemini(429, "Quota.", "RESOURCE_EXHAUSTED",
             R"([{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},)"
             R"({"retryDelay":"37s"}])");
  CHECK(wait_ms(per_day, {}) == 900'000);
  // It never fits, whatever the day.
  CHECK(decode_reply(http(429, openai("tokens per day (TPD): Limit 1000, Requested 5000.", "", "")),
                     {})
            .outcome.ending == Ending::too_long);
}

TEST_CASE("errors: 429 for the rate is waited for") {
  const auto row = [](const std::string& body) {
    check_row({"rate", 429, body, Ending::rate_limited, "rate_limited", kZero});
  };
  row(
      openai("Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): "
             "Limit 500, Used 500, Requested 1. Please try again in 120ms.",
             "requests", "rate_limit_exceeded"));
  row(
      openai("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 10000, Used 9500, "
             "Requested 1200. Please try again in 4.2s.",
             "tokens", "rate_limit_exceeded"));
  row(openai("Rate limit reached on requests per day (RPD): Limit 10000, Used 10000, Requested 1.",
             "requests", "rate_limit_exceeded"));
  row(anthropic("rate_limit_error", "This request would exceed your organization's rate limit."));
  row(openai("Slow down", "slow_down", "slow_down"));
  row(openai("No flex capacity", "", "resource_unavailable"));
  row(gemini(429, "You exceeded your current quota, please check your plan and billing details.",
             "RESOURCE_EXHAUSTED",
             R"([{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}])"));
  row("");
  row(kHtml);
}

TEST_CASE("errors: 5xx") {
  check_rows({
      {"OpenAI", 500, openai("The server had an error.", "server_error", ""), Ending::server_error,
       "server_error", kZero},
      {"Anthropic", 500, anthropic("api_error", "Internal server error"), Ending::server_error,
       "server_error", kZero},
      {"Gemini", 500, gemini(500, "An internal error has occurred.", "INTERNAL"),
       Ending::server_error, "server_error", kZero},
      {"llama.cpp", 501, R"({"error":{"code":501,"message":"x","type":"not_supported_error"}})",
       Ending::server_error, "server_error", kZero},
      {"nginx", 502, "<html><h1>502 Bad Gateway</h1></html>", Ending::overloaded, "overloaded",
       kZero},
      {"OpenAI", 503, openai("Overloaded", "server_error", "server_is_overloaded"),
       Ending::overloaded, "overloaded", kZero},
      {"llama.cpp", 503,
       R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})",
       Ending::overloaded, "overloaded", kZero},
      {"Ollama", 503,
       R"({"error":"server busy, please try again.  maximum pending requests exceeded"})",
       Ending::overloaded, "overloaded", kZero},
      {"Anthropic", 529, anthropic("overloaded_error", "Overloaded"), Ending::overloaded,
       "overloaded", kZero},
      {"Anthropic", 504, anthropic("timeout_error", "Timed out"), Ending::cut, "gateway", kUnknown},
      {"nginx", 504, kHtml, Ending::cut, "gateway", kUnknown},
  });
  for (int status = 520; status <= 527; ++status) {
    check_row({"Cloudflare", status, kHtml, Ending::cut, "gateway", kUnknown});
  }
}

TEST_CASE("errors: where a provider bills errors, every 5xx may cost its ceiling") {
  Provider provider;
  provider.bills_errors = true;
  for (const int status : {500, 501, 502, 503, 504, 520, 529}) {
    const DecodedReply decoded = decode_reply(http(status, ""), provider);
    CHECK(decoded.outcome.may_be_billed);
    CHECK(settlement_of(decoded, http(status, ""), {}).cost_basis == kUnknown);
  }
  for (const int status : {400, 401, 402, 404, 429}) {
    CHECK_FALSE(decode_reply(http(status, ""), provider).outcome.may_be_billed);
  }
}

TEST_CASE("errors: an error that says what it used costs that") {
  const std::string body =
      R"({"error":{"message":"x","type":"server_error"},)"
      R"("usage":{"prompt_tokens":10,"completion_tokens":0,"total_tokens":10}})";
  const DecodedReply decoded = decode_reply(http(500, body), Provider{});
  const PriceRow price{PriceId{7}, ModelPrice{2'000'000, 500'000, 0, 8'000'000}};

  const Settlement settlement = settlement_of(decoded, http(500, body), {price});

  CHECK(settlement.cost_basis == "usage");
  CHECK(settlement.cost_pusd == 20'000'000);
  CHECK(settlement.price->value == 7);
}

TEST_CASE("errors: a redirect is a config error, not followed and not paid") {
  for (const int status : {301, 302, 303, 307, 308}) {
    check_row({"3xx", status, "", Ending::provider_down, "redirect", kZero});
  }
}

TEST_CASE("errors: an exchange that was not complete") {
  struct Cut {
    Exchange exchange;
    Ending ending;
    const char* error_class;
    const char* cost_basis;
  };
  const Cut cuts[] = {
      {Exchange::not_sent, Ending::not_sent, "not_sent", kZero},
      {Exchange::certificate, Ending::provider_down, "certificate", kZero},
      {Exchange::first_byte_timeout, Ending::cut, "timeout", kUnknown},
      {Exchange::stalled, Ending::cut, "stalled", kUnknown},
      {Exchange::deadline, Ending::cut, "deadline", kUnknown},
      {Exchange::cut, Ending::cut, "cut", kUnknown},
      {Exchange::resend_stopped, Ending::cut, "cut", kUnknown},
      {Exchange::oversize, Ending::cut, "oversize", kUnknown},
      {Exchange::bad_encoding, Ending::cut, "bad_encoding", kUnknown},
      {Exchange::aborted, Ending::aborted, "aborted", kUnknown},
  };
  for (const Cut& cut : cuts) {
    // Whatever part of a reply had come, even one that looks whole: it says nothing.
    for (const int status : {0, 200, 500}) {
      INFO(cut.error_class << " " << status);
      HttpReply reply = http(status, R"({"choices":[{"message":{"content":"half"}}]})");
      reply.exchange = cut.exchange;
      reply.detail = "libcurl's words";
      const DecodedReply decoded = decode_reply(reply, Provider{});
      const std::string ending = to_string(decoded.outcome.ending);
      CHECK(ending == to_string(cut.ending));
      CHECK(decoded.outcome.error_class == cut.error_class);
      CHECK(decoded.outcome.error_message.find("libcurl's words") != std::string::npos);
      CHECK(decoded.text.empty());
      const Settlement settlement = settlement_of(decoded, reply, {});
      CHECK(settlement.cost_basis == cut.cost_basis);
      CHECK(settlement.http_status.value_or(0) == status);
    }
  }
}

TEST_CASE("errors: what is shown is one harmless line") {
  const auto shown = [](const std::string& body) {
    return decode_reply(http(500, body), Provider{}).outcome.error_message;
  };
  CHECK(shown(openai("The server had an error.", "server_error", "")) ==
        "HTTP 500: The server had an error.");
  CHECK(shown(openai("Busy", "server_error", "server_is_overloaded")) ==
        "HTTP 500 server_is_overloaded: Busy");
  CHECK(shown(R"([{"error":{"code":500,"message":"first"}},{"error":{}}])") == "HTTP 500: first");
  CHECK(shown(R"({"error":"words"})") == "HTTP 500: words");
  CHECK(shown(R"({"detail":"words"})") == "HTTP 500: words");
  CHECK(shown("  <h1>Sorry</h1>\r\n") == "HTTP 500: <h1>Sorry</h1>");
  CHECK(shown("") == "HTTP 500");
  CHECK(shown("red \x1b[31m\nFAKE log line") == "HTTP 500: red \\x1b[31m\\nFAKE log line");
  CHECK(is_valid_utf8(shown("\xff\xfe")));
  CHECK(shown(std::string(100'000, '[')).size() <= 500);
}

// The policy promises 500 bytes, and so do the columns it is shown in.
TEST_CASE("errors: a message is at most 500 bytes, whatever the body") {
  const std::string word(400, 'w');
  for (const std::string& body :
       {openai(word, "t", word), std::string(400, '\x01'), std::string(400, '\xff')}) {
    CHECK(decode_reply(http(500, body), Provider{}).outcome.error_message.size() <= 500);
  }
  HttpReply cut = http(0, "");
  cut.exchange = Exchange::cut;
  cut.detail = std::string(2000, 'd');
  CHECK(decode_reply(cut, Provider{}).outcome.error_message.size() <= 500);
}
