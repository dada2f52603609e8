// When a 200 is an answer, and what it is when it is not one. Bodies are the providers' own, or
// their own with one thing broken.

#include "llm/reply.h"
#include "llm/rate_headers.h"

#include <nlohmann/json.hpp>

#include "llm/error_body.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

const std::string kUsage = R"({"prompt_tokens":10,"completion_tokens":72,"total_tokens":82,)"
                           R"("prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}})";

// OpenAI's, as it was recorded.
const std::string kAnswer =
    R"({"id":"chatcmpl-x","object":"chat.completion","created":1736425615,)"
    R"("model":"gpt-3.5-turbo-0125","choices":[{"index":0,"message":{"role":"assistant",)"
    R"("content":"A poem.","refusal":null,"annotations":[]},"logprobs":null,)"
    R"("finish_reason":"stop"}],"usage":)" +
    kUsage + R"(,"service_tier":"default","system_fingerprint":null})";

HttpReply http_200(const std::string& body) {
  HttpReply reply;
  reply.status = 200;
  reply.body = body;
  reply.received_at_ms = 1'795'489'200'000;  // Tue, 24 Nov 2026 03:00:00 GMT
  return reply;
}

DecodedReply decode(const std::string& body, Dialect dialect = Dialect::openai) {
  Provider provider;
  provider.dialect = dialect;
  return decode_reply(http_200(body), provider);
}

std::string choice(const std::string& content, const std::string& finish_reason) {
  return R"({"choices":[{"message":{"role":"assistant","content":)" + content +
         R"(},"finish_reason":)" + finish_reason + R"(}],"usage":)" + kUsage + "}";
}

std::string message(const std::string& content, const std::string& stop_reason) {
  return R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5",)"
         R"("content":)" +
         content + R"(,"stop_reason":)" + stop_reason +
         R"(,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5}})";
}

// No answer: what it is, and whether its cost is known from usage.
void check_failed(const std::string& body, Ending ending, const std::string& error_class,
                  const std::string& cost_basis, Dialect dialect = Dialect::openai) {
  INFO(body.substr(0, 300));
  const DecodedReply decoded = decode(body, dialect);
  const std::string seen = to_string(decoded.outcome.ending);
  CHECK(seen == to_string(ending));
  CHECK(decoded.outcome.error_class == error_class);
  CHECK_FALSE(decoded.outcome.error_message.empty());
  CHECK(decoded.outcome.may_be_billed == (cost_basis == "unknown"));
  const PriceRow price{PriceId{1}, ModelPrice{1, 1, 1, 1}};
  const Settlement settlement = settlement_of(decoded, http_200(body), {price});
  CHECK(settlement.cost_basis == cost_basis);
  CHECK(settlement.outcome == error_class);
}

std::optional<std::int64_t> asked_ms(const std::string& name, const std::string& value) {
  HttpReply reply = http_200("");
  reply.headers = {{name, value}};
  return retry_after_ms(reply, reply.received_at_ms);
}

}  // namespace

TEST_CASE("reply: an answer of OpenAI's, as recorded") {
  HttpReply reply = http_200(kAnswer);
  reply.headers = {{"x-request-id", "req_1"}, {"openai-processing-ms", "1234"}};
  reply.first_byte_ms = 900;
  reply.total_ms = 1300;
  const DecodedReply decoded = decode_reply(reply, Provider{});

  CHECK(decoded.outcome.ending == Ending::answered);
  CHECK(decoded.outcome.error_class.empty());
  CHECK_FALSE(decoded.outcome.may_be_billed);
  CHECK(decoded.text == "A poem.");
  CHECK(decoded.model_returned == "gpt-3.5-turbo-0125");

  const Settlement settlement = settlement_of(decoded, reply, {});
  CHECK(settlement.outcome == "answered");
  CHECK(settlement.error_message.empty());
  CHECK(settlement.http_status == 200);
  CHECK(settlement.provider_request_id == "req_1");
  CHECK(settlement.finish_reason == "stop");
  CHECK(settlement.usage == Usage{10, 0, 0, 72, 0});
  CHECK(settlement.first_byte_ms == 900);
  CHECK(settlement.total_ms == 1300);
  CHECK(settlement.provider_ms == 1234);
}

TEST_CASE("reply: answers in the shapes of others") {
  const auto text = [](const std::string& body, Dialect dialect = Dialect::openai) {
    const DecodedReply decoded = decode(body, dialect);
    CHECK(decoded.outcome.ending == Ending::answered);
    return decoded.text;
  };
  // DeepSeek's blank lines while it waits.
  CHECK(text("\n\n \n" + kAnswer + "\n") == "A poem.");
  // Extra fields, and reasoning that is no answer.
  CHECK(text(R"({"provider":"x","choices":[{"native_finish_reason":"STOP","finish_reason":"stop",)"
             R"("message":{"content":"yes","reasoning_content":"hm","reasoning":"hm"}}],)"
             R"("timings":{"predicted_ms":1.5},"error":null})") == "yes");
  CHECK(text(choice(R"([{"type":"text","text":"a"},{"type":"reasoning","text":"hm"},)"
                    R"({"type":"text","text":"b"}])",
                    R"("stop")")) == "ab");
  CHECK(text(choice(R"("  kept as it is \u00e9\ud83d\ude00 ")", R"("stop")")) ==
        "  kept as it is \xc3\xa9\xf0\x9f\x98\x80 ");
  CHECK(text(message(R"([{"type":"thinking","thinking":"hm","signature":"s"},)"
                     R"({"type":"redacted_thinking","data":"x"},{"type":"text","text":"one "},)"
                     R"({"type":"text","text":"two"}])",
                     R"("end_turn")"),
             Dialect::anthropic) == "one two");
  CHECK(text(message(R"([{"type":"text","text":"x"}])", R"("stop_sequence")"),
             Dialect::anthropic) == "x");
}

TEST_CASE("reply: an answer without usage is an answer whose cost is not known") {
  const DecodedReply decoded =
      decode(R"({"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]})");
  CHECK(decoded.outcome.ending == Ending::answered);
  CHECK(decoded.outcome.may_be_billed);
}

TEST_CASE("reply: finish reasons") {
  struct Row {
    const char* word;
    Ending ending;
    const char* error_class;
  };
  const auto check = [](const Row& row, const std::string& body, Dialect dialect) {
    check_failed(body, row.ending, row.error_class, "usage", dialect);
    CHECK(decode(body, dialect).finish_reason == row.word);
  };
  for (const Row& row : {Row{"length", Ending::truncated, "truncated"},
                         {"MAX_TOKENS", Ending::truncated, "truncated"},
                         {"content_filter", Ending::refused, "refused"},
                         {"SAFETY", Ending::refused, "refused"},
                         {"RECITATION", Ending::refused, "refused"},
                         {"PROHIBITED_CONTENT", Ending::refused, "refused"},
                         {"BLOCKLIST", Ending::refused, "refused"},
                         {"OTHER", Ending::bad_reply, "incomplete"},
                         {"MALFORMED_FUNCTION_CALL", Ending::bad_reply, "incomplete"},
                         {"tool_calls", Ending::bad_reply, "incomplete"},
                         {"function_call", Ending::bad_reply, "incomplete"},
                         {"error", Ending::bad_reply, "incomplete"},
                         {"insufficient_system_resource", Ending::bad_reply, "incomplete"},
                         {"aborted", Ending::bad_reply, "incomplete"},
                         {"abort", Ending::bad_reply, "incomplete"},
                         {"a new word", Ending::bad_reply, "incomplete"}}) {
    check(row, choice(R"("text")", std::string("\"") + row.word + '"'), Dialect::openai);
  }
  for (const Row& row : {Row{"max_tokens", Ending::truncated, "truncated"},
                         {"model_context_window_exceeded", Ending::too_long, "too_long"},
                         {"refusal", Ending::refused, "refused"},
                         {"tool_use", Ending::bad_reply, "incomplete"},
                         {"pause_turn", Ending::bad_reply, "incomplete"}}) {
    check(row, message(R"([{"type":"text","text":"t"}])", std::string("\"") + row.word + '"'),
          Dialect::anthropic);
  }
  for (const char* none : {"null", "7", "[]", "\"\""}) {
    check_failed(choice(R"("text")", none), Ending::bad_reply, "incomplete", "usage");
  }
  CHECK(decode(choice(R"("x")", R"("STOP")")).outcome.ending == Ending::answered);
}

TEST_CASE("reply: a limit that was reached without a word was spent on thinking") {
  const char* const kClass = "reasoning_exhausted";
  check_failed(choice("null", R"("length")"), Ending::overthought, kClass, "usage");
  check_failed(choice("\"\"", R"("MAX_TOKENS")"), Ending::overthought, kClass, "usage");
  check_failed(message(R"([{"type":"thinking","thinking":"much and long"},)"
                       R"({"type":"text","text":"t"}])",
                       R"("max_tokens")"),
               Ending::overthought, kClass, "usage", Dialect::anthropic);
}

TEST_CASE("reply: a refusal in its own field") {
  check_failed(R"({"choices":[{"message":{"content":null,"refusal":"I can't."},)"
               R"("finish_reason":"stop"}],"usage":)" +
                   kUsage + "}",
               Ending::refused, "refused", "usage");
}

TEST_CASE("reply: no content") {
  for (const char* content :
       {"null", "\"\"", "\" \\n\\t\"", "[]", "[{\"type\":\"text\"}]", "[{\"type\":\"audio\"}]"}) {
    check_failed(choice(content, R"("stop")"), Ending::bad_reply, "no_content", "usage");
  }
  // Ollama: all went into the reasoning.
  check_failed(R"({"choices":[{"message":{"content":"","reasoning":"text"},)"
               R"("finish_reason":"stop"}],"usage":)" +
                   kUsage + "}",
               Ending::bad_reply, "no_content", "usage");
  for (const char* content : {"null", "[]", R"([{"type":"thinking","thinking":"hm"}])"}) {
    check_failed(message(content, R"("end_turn")"), Ending::bad_reply, "no_content", "usage",
                 Dialect::anthropic);
  }
}

TEST_CASE("reply: no choices") {
  check_failed(R"({"choices":[],"usage":)" + kUsage + "}", Ending::bad_reply, "no_choices",
               "usage");
  for (const char* body : {R"({"choices":[]})", R"({})", R"({"detail":"odd"})", R"({"choices":7})",
                           R"({"choices":"x"})", R"({"choices":{"0":{}}})", R"({"choices":[null]})",
                           R"({"choices":[7]})", R"({"choices":[[]]})"}) {
    check_failed(body, Ending::bad_reply, "no_choices", "unknown");
  }
}

TEST_CASE("reply: wrong types where the answer should be") {
  for (const char* message :
       {"7", "null", "\"text\"", "[\"text\"]", "{}", R"({"content":7})", R"({"content":true})",
        R"({"content":{"text":"x"}})", R"({"content":[7,"text",null,{"type":"text","text":7}]})"}) {
    check_failed(std::string(R"({"choices":[{"finish_reason":"stop","message":)") + message + "}]}",
                 Ending::bad_reply, "no_content", "unknown");
  }
  const DecodedReply decoded =
      decode(R"({"model":7,"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})");
  CHECK(decoded.outcome.ending == Ending::answered);
  CHECK(decoded.model_returned.empty());
}

TEST_CASE("reply: a 200 with an error is what its code says") {
  const auto failed = [](const std::string& error, Ending ending, const char* error_class,
                         const char* cost_basis = "unknown") {
    check_failed(R"({"error":)" + error + "}", ending, error_class, cost_basis);
  };
  // Refused before anything was worked on, as with the same status outside of a 200.
  failed(R"({"code":502,"message":"Provider returned error",)"
         R"("metadata":{"error_type":"provider_unavailable","provider_name":"x"}})",
         Ending::overloaded, "overloaded");
  failed(R"({"code":429,"message":"slow"})", Ending::rate_limited, "rate_limited", "zero");
  failed(R"({"code":402,"message":"Insufficient credits"})", Ending::provider_down, "out_of_money",
         "zero");
  failed(R"({"code":400,"message":"x","metadata":{"error_type":"context_length_exceeded"}})",
         Ending::too_long, "too_long", "zero");
  check_failed(R"({"error":{"code":429},"choices":[{"message":{"content":"half"}}]})",
               Ending::rate_limited, "rate_limited", "unknown");
  failed(R"({"code":504,"message":"x"})", Ending::cut, "gateway");
  failed(R"({"message":"no code"})", Ending::server_error, "server_error");
  failed(R"({"code":200,"message":"not an error's code"})", Ending::server_error, "server_error");
  failed(R"({"code":99999,"message":"nor this"})", Ending::server_error, "server_error");
  failed(R"("only words")", Ending::server_error, "server_error");
  failed("{}", Ending::server_error, "server_error");
  check_failed(R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
               Ending::overloaded, "overloaded", "unknown", Dialect::anthropic);
}

TEST_CASE("reply: an error beside an answer is an error, and costs what it says it used") {
  check_failed(R"({"error":{"code":502,"message":"x"},"choices":[{"message":{"content":"half"},)"
               R"("finish_reason":"error"}],"usage":)" +
                   kUsage + "}",
               Ending::overloaded, "overloaded", "usage");
  const std::string body =
      R"({"error":{"code":502,"message":"x"},"usage":{"prompt_tokens":0,"completion_tokens":0}})";
  const Settlement settlement = settlement_of(
      decode(body), http_200(body), Billing{PriceRow{PriceId{1}, ModelPrice{1, 1, 1, 1}}});
  CHECK(settlement.cost_pusd == 0);
}

TEST_CASE("reply: blank bodies") {
  for (const char* body : {"", " ", "\n\n\n\n", "\r\n\t "}) {
    check_failed(body, Ending::bad_reply, "empty_reply", "unknown");
  }
}

TEST_CASE("reply: what is not the JSON of an answer") {
  const std::string bodies[] = {
      "<html><body>It works!</body></html>",
      "data: {\"choices\":[]}\n\ndata: [DONE]\n\n",
      kAnswer + kAnswer,
      kAnswer + "x",
      "[" + kAnswer + "]",
      "null",
      "7",
      "\"text\"",
      "{'choices':[]}",
      choice("\"\xff\xfe not UTF-8\"", R"("stop")"),
      choice(R"("\ud800 half a character")", R"("stop")"),
      R"({"choices":[],"usage":{"prompt_tokens":1e999}})",
  };
  for (const std::string& body : bodies) {
    check_failed(body, Ending::bad_reply, "not_json", "unknown");
  }
}

TEST_CASE("reply: an answer cut at any byte is none") {
  for (std::size_t size = 1; size < kAnswer.size(); ++size) {
    const DecodedReply decoded = decode(kAnswer.substr(0, size));
    REQUIRE(decoded.outcome.error_class == "not_json");
    REQUIRE(decoded.outcome.may_be_billed);
    REQUIRE(decoded.text.empty());
  }
}

TEST_CASE("reply: a body that nests too deep is refused before it can hurt") {
  const std::string open(100'000, '[');
  const std::string close(100'000, ']');
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  for (const std::string& body :
       {open, open + close, "{\"choices\":" + open, "{\"choices\":" + open + close + "}", objects,
        "{\"usage\":" + open + close + ",\"choices\":[]}", close + open, R"(\")" + open}) {
    check_failed(body, Ending::bad_reply, "not_json", "unknown");
  }
  const std::string near = std::string(60, '[') + std::string(60, ']');
  CHECK(decode(R"({"extra":)" + near +
               R"(,"choices":[{"message":{"content":"[[[{{{"},)"
               R"("finish_reason":"stop"}]})")
            .text == "[[[{{{");
}

// "never accept the partial text"; the header says that it is empty then.
TEST_CASE("reply: what is not whole leaves no text") {
  CHECK(decode(choice("\"half\"", R"("length")")).text == "half");
  CHECK(decode(choice("\"half\"", R"("content_filter")")).text == "half");
  CHECK(decode(choice("\"half\"", R"("insufficient_system_resource")")).text.empty());
  CHECK(decode(choice("\"half\"", "null")).text.empty());
}

TEST_CASE("reply: other 2xx are read alike") {
  HttpReply reply = http_200("");
  reply.status = 204;
  CHECK(decode_reply(reply, Provider{}).outcome.error_class == "empty_reply");
  reply.status = 201;
  reply.body = kAnswer;
  CHECK(decode_reply(reply, Provider{}).outcome.ending == Ending::answered);
}

TEST_CASE("reply: words of a provider are shown as one line of bounded length") {
  const std::string body = R"({"model":"m\u001b[31m\n)" + std::string(1000, 'x') +
                           R"(","choices":[{"message":{"content":"yes"},"finish_reason":"odd\n)" +
                           std::string(1000, 'x') + R"("}]})";
  const DecodedReply decoded = decode(body);
  CHECK(decoded.model_returned.substr(0, 10) == "m\\x1b[31m\\");
  CHECK(decoded.model_returned.size() < 250);
  CHECK(decoded.outcome.error_message.size() <= 500);
  CHECK(decoded.outcome.error_message.find('\n') == std::string::npos);
  const Settlement settlement = settlement_of(decoded, http_200(body), {});
  CHECK(settlement.finish_reason.size() < 50);
  CHECK(settlement.finish_reason.substr(0, 5) == "odd\\n");
}

TEST_CASE("reply: the provider's id of a request, whatever the header's name") {
  const auto id = [](std::vector<Header> headers) {
    HttpReply reply = http_200(kAnswer);
    reply.headers = std::move(headers);
    return decode_reply(reply, Provider{}).request_id;
  };
  CHECK(id({{"x-request-id", "o"}}) == "o");
  CHECK(id({{"request-id", "a"}}) == "a");
  CHECK(id({{"x-generation-id", "g"}}) == "g");
  CHECK(id({{"cf-ray", "c"}}) == "c");
  CHECK(id({{"cf-ray", "c"}, {"x-request-id", "o"}}) == "o");
  CHECK(id({{"x-request-id", ""}, {"request-id", "a"}}) == "a");
  CHECK(id({{"x-request-id", "evil\x1b[2J"}}) == "evil\\x1b[2J");
  CHECK(id({}).empty());
}

TEST_CASE("reply: how long a provider asks to wait") {
  CHECK(asked_ms("retry-after", "20") == 20'000);
  CHECK(asked_ms("retry-after", "0") == 0);
  CHECK(asked_ms("retry-after", "0.5") == 500);
  CHECK(asked_ms("retry-after", "1.2345") == 1235);
  CHECK(asked_ms("retry-after-ms", "1500") == 1500);
  CHECK(asked_ms("retry-after-ms", "0.2") == 1);
  CHECK(asked_ms("retry-after", "Tue, 24 Nov 2026 03:00:30 GMT") == 30'000);
  CHECK(asked_ms("retry-after", "Tuesday, 24-Nov-26 03:00:30 GMT") == 30'000);
  CHECK(asked_ms("retry-after", "Tue Nov 24 03:00:30 2026") == 30'000);
  CHECK(asked_ms("retry-after", "Tue, 24 Nov 2026 02:00:00 GMT") == 0);
  for (const char* garbage : {"", "soon", "-1", "+5", "5s", "5 apples", "1,5", "inf", "nan",
                              "1e300", "99999999999999999999", "0x10"}) {
    INFO(garbage);
    CHECK_FALSE(asked_ms("retry-after", garbage).has_value());
    CHECK_FALSE(asked_ms("retry-after-ms", garbage).has_value());
  }
  CHECK_FALSE(retry_after_ms(http_200(""), 0).has_value());
}

TEST_CASE("reply: retry-after-ms wins, unless it is garbage") {
  HttpReply reply = http_200("");
  reply.headers = {{"retry-after", "20"}, {"retry-after-ms", "1500"}};
  CHECK(retry_after_ms(reply, 0) == 1500);
  reply.headers[1].value = "never";
  CHECK(retry_after_ms(reply, 0) == 20'000);
}

TEST_CASE("reply: the wait goes along with a failure, not with an answer") {
  HttpReply reply = http_200(kAnswer);
  reply.headers = {{"retry-after", "Tue, 24 Nov 2026 03:00:10 GMT"}};
  CHECK_FALSE(decode_reply(reply, Provider{}).outcome.retry_after_ms.has_value());
  reply.status = 503;
  reply.body = "";
  CHECK(decode_reply(reply, Provider{}).outcome.retry_after_ms == 10'000);
}

// Without a header the body may say it: OpenAI and Groq in words, Gemini in details.
TEST_CASE("reply: a wait that only the body of a 429 tells") {
  const auto asked = [](const std::string& body) {
    HttpReply reply = http_200(body);
    reply.status = 429;
    return decode_reply(reply, Provider{}).outcome.retry_after_ms;
  };
  const auto openai = [&](const std::string& wait) {
    return asked(R"({"error":{"message":"Rate limit reached. Please try again in )" + wait +
                 R"(.","type":"tokens","code":"rate_limit_exceeded"}})");
  };
  CHECK(openai("5.289s") == 5289);
  CHECK(openai("20ms") == 20);
  CHECK(openai("6m0s") == 360'000);
  CHECK(asked(R"([{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[)"
              R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}])") ==
        17'000);
}

TEST_CASE("reply: durations as Go writes them") {
  CHECK(parse_go_duration_ms("4ms") == 4);
  CHECK(parse_go_duration_ms("39.801s") == 39'801);
  CHECK(parse_go_duration_ms("1m4.296s") == 64'296);
  CHECK(parse_go_duration_ms("6m0s") == 360'000);
  CHECK(parse_go_duration_ms("1h2m3s") == 3'723'000);
  CHECK(parse_go_duration_ms("250us") == 1);
  CHECK(parse_go_duration_ms("0s") == 0);
  CHECK(parse_go_duration_ms("5.289s.") == 5289);  // the end of a sentence
  for (const char* garbage : {"", "s", "20", "-1s", "inf", "soon", "5 seconds", "1e300s"}) {
    INFO(garbage);
    CHECK_FALSE(parse_go_duration_ms(garbage).has_value());
  }
}

// The sum of many parts once passed what an integer holds.
TEST_CASE("reply: no duration is longer than can be counted") {
  std::string parts;
  for (int i = 0; i < 5000; ++i) parts += "999999999h";
  const auto duration_ms = parse_go_duration_ms(parts);
  CHECK((!duration_ms || (*duration_ms > 0 && *duration_ms < 10'000'000'000'000'000)));
}

TEST_CASE("reply: what has usage was billed, and is not doubtful") {
  const Outcome answered = decode(kAnswer).outcome;
  CHECK(answered.was_billed);
  CHECK_FALSE(answered.may_be_billed);
  HttpReply failed = http_200(R"({"error":{"message":"x"},"usage":)" + kUsage + "}");
  for (const int status : {500, 504}) {  // by its status alone free, and doubtful
    failed.status = status;
    const Outcome outcome = decode_reply(failed, Provider{}).outcome;
    CHECK(outcome.was_billed);
    CHECK_FALSE(outcome.may_be_billed);
  }
  CHECK_FALSE(decode("").outcome.was_billed);
}

TEST_CASE("reply: white space of any kind is no content") {
  for (const char* blank : {" \\n\\t", "\\u00a0", "\\u200b\\u2003", "\\u3000\\ufeff"}) {
    const std::string body = std::string(R"({"choices":[{"finish_reason":"stop","message":)") +
                             R"({"content":")" + blank + "\"}}]}";
    CHECK(decode(body).outcome.error_class == "no_content");
  }
  CHECK(decode(R"({"choices":[{"finish_reason":"stop","message":{"content":"\u200b\u4f60"}}]})")
            .outcome.ending == Ending::answered);
}

TEST_CASE("reply: a flood of values is no JSON") {
  std::string flood = "[";
  for (int i = 0; i < 600'000; ++i) flood += "0,";
  CHECK(decode(flood + "0]").outcome.error_class == "not_json");
}
