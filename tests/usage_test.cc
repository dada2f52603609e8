// Usage into buckets that do not overlap, and what they cost to the last pico-USD. Every expected
// figure is worked out by hand from the provider's own rules.

#include "llm/usage.h"

#include "llm/json_view.h"
#include "llm/reply.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

// Pico-USD a token, which is micro-USD a million.
const ModelPrice kGpt41{2'000'000, 500'000, 2'500'000, 8'000'000};
const ModelPrice kDeepSeekFlash{150'000, 3'000, 150'000, 600'000};
const ModelPrice kSonnet{2'000'000, 200'000, 2'500'000, 10'000'000};

std::optional<Usage> usage_of(const std::string& usage, Dialect dialect = Dialect::openai) {
  Provider provider;
  provider.dialect = dialect;
  const auto object = view_json(usage);
  REQUIRE(object);
  return read_usage(*object, provider);
}

void check_usage(const std::string& text, Dialect dialect, const Usage& expected,
                 const ModelPrice& price, std::int64_t expected_pusd) {
  INFO(text);
  const std::optional<Usage> usage = usage_of(text, dialect);
  REQUIRE(usage.has_value());
  CHECK(usage->fresh_tokens == expected.fresh_tokens);
  CHECK(usage->cached_tokens == expected.cached_tokens);
  CHECK(usage->cache_write_tokens == expected.cache_write_tokens);
  CHECK(usage->output_tokens == expected.output_tokens);
  CHECK(usage->reasoning_tokens == expected.reasoning_tokens);
  CHECK(cost_pusd(*usage, price) == expected_pusd);
}

HttpReply answer_with(const std::string& usage) {
  HttpReply reply;
  reply.status = 200;
  reply.body =
      R"({"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],"usage":)" + usage + "}";
  return reply;
}

}  // namespace

TEST_CASE("usage: OpenAI counts cached and written tokens within the prompt") {
  // 10 x 2 + 72 x 8 = 596 (micro-USD)
  check_usage(R"({"prompt_tokens":10,"completion_tokens":72,"total_tokens":82,)"
              R"("prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},)"
              R"("completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,)"
              R"("accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})",
              Dialect::openai, {10, 0, 0, 72, 0}, kGpt41, 596'000'000);
  // 76 x 2 + 1024 x 0.5 + 100 x 2.5 + 300 x 8 = 152 + 512 + 250 + 2400
  check_usage(R"({"prompt_tokens":1200,"completion_tokens":300,"total_tokens":1500,)"
              R"("prompt_tokens_details":{"cached_tokens":1024,"cache_write_tokens":100},)"
              R"("completion_tokens_details":{"reasoning_tokens":256}})",
              Dialect::openai, {76, 1024, 100, 300, 256}, kGpt41, 3'314'000'000);
}

TEST_CASE("usage: DeepSeek says the same number under several names, and it counts once") {
  // 360 x 0.15 + 640 x 0.003 + 200 x 0.6 = 54 + 1.92 + 120
  const Usage expected{360, 640, 0, 200, 0};
  check_usage(R"({"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,)"
              R"("prompt_cache_hit_tokens":640,"prompt_cache_miss_tokens":360})",
              Dialect::openai, expected, kDeepSeekFlash, 175'920'000);
  check_usage(R"({"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,)"
              R"("prompt_tokens_details":{"cached_tokens":640},)"
              R"("prompt_cache_hit_tokens":640,"prompt_cache_miss_tokens":360})",
              Dialect::openai, expected, kDeepSeekFlash, 175'920'000);
}

TEST_CASE("usage: Anthropic counts cached and written tokens beside the input") {
  // 50 x 2 + 2000 x 0.2 + 300 x 2.5 + 120 x 10 = 100 + 400 + 750 + 1200
  check_usage(
      R"({"input_tokens":50,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,)"
      R"("cache_creation":{"ephemeral_5m_input_tokens":300,"ephemeral_1h_input_tokens":0},)"
      R"("output_tokens":120,"output_tokens_details":{"thinking_tokens":20},)"
      R"("service_tier":"standard"})",
      Dialect::anthropic, {50, 2000, 300, 120, 20}, kSonnet, 2'450'000'000);
  check_usage(
      R"({"input_tokens":50,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,)"
      R"("cache_creation":null,"output_tokens":1,"output_tokens_details":null,)"
      R"("server_tool_use":null})",
      Dialect::anthropic, {50, 0, 0, 1, 0}, kSonnet, 110'000'000);
}

TEST_CASE("usage: vLLM, Ollama and OpenRouter") {
  check_usage(R"({"prompt_tokens":20,"total_tokens":25,"completion_tokens":5,)"
              R"("prompt_tokens_details":null})",
              Dialect::openai, {20, 0, 0, 5, 0}, kGpt41, 80'000'000);
  check_usage(R"({"prompt_tokens":20,"total_tokens":25,"completion_tokens":5,)"
              R"("prompt_tokens_details":{"cached_tokens":16}})",
              Dialect::openai, {4, 16, 0, 5, 0}, kGpt41, 56'000'000);
  check_usage(R"({"prompt_tokens":20,"completion_tokens":5,"total_tokens":25})", Dialect::openai,
              {20, 0, 0, 5, 0}, ModelPrice{}, 0);
  // What OpenRouter says it charged is not the price row's product, and money is.
  check_usage(
      R"({"prompt_tokens":20,"completion_tokens":5,"total_tokens":25,"cost":0.5,"is_byok":false,)"
      R"("cost_details":{"upstream_inference_cost":null}})",
      Dialect::openai, {20, 0, 0, 5, 0}, kGpt41, 80'000'000);
}

// What Gemini's compatible API thinks is billed as output and left out of completion_tokens; the
// total has it. Only for Gemini: there is no such rule elsewhere.
TEST_CASE("usage: Gemini's thoughts are output") {
  Provider gemini;
  gemini.base_url = "https://generativelanguage.googleapis.com/v1beta/openai";
  const auto output_of = [&](const std::string& usage) {
    const DecodedReply decoded = decode_reply(answer_with(usage), gemini);
    REQUIRE(decoded.usage.has_value());
    return decoded.usage->output_tokens;
  };
  CHECK(output_of(R"({"prompt_tokens":20,"completion_tokens":424,"total_tokens":1016})") == 996);
  CHECK(output_of(R"({"prompt_tokens":21,"completion_tokens":0,"total_tokens":81,)"
                  R"("completion_tokens_details":{"reasoning_tokens":60}})") == 60);
  CHECK(output_of(R"({"prompt_tokens":20,"completion_tokens":30,"total_tokens":50})") == 30);
}

TEST_CASE("usage: a total that does not add up is no output, but for Gemini") {
  const Usage expected{20, 0, 0, 424, 0};
  CHECK(usage_of(R"({"prompt_tokens":20,"completion_tokens":424,"total_tokens":1016})") ==
        expected);
}

TEST_CASE("usage: whole numbers may be written as fractions") {
  const Usage expected{12, 0, 0, 3, 0};
  CHECK(usage_of(R"({"prompt_tokens":12.0,"completion_tokens":3})") == expected);
  CHECK(usage_of(R"({"prompt_tokens":1.2e1,"completion_tokens":3.0})") == expected);
  CHECK(usage_of(R"({"prompt_tokens":1000000000,"completion_tokens":0})") ==
        Usage{1'000'000'000, 0, 0, 0, 0});
}

TEST_CASE("usage: reasoning is a part of the output, never more") {
  CHECK(usage_of(R"({"prompt_tokens":1,"completion_tokens":5,)"
                 R"("completion_tokens_details":{"reasoning_tokens":9}})")
            ->reasoning_tokens == 5);
}

TEST_CASE("usage: what cannot be is not believed, and the cost stays unknown") {
  const char* const texts[] = {
      "null",
      "7",
      "\"12\"",
      "[]",
      "{}",
      "[{\"prompt_tokens\":1,\"completion_tokens\":1}]",
      R"({"prompt_tokens":1})",
      R"({"completion_tokens":1})",
      R"({"prompt_tokens":-1,"completion_tokens":1})",
      R"({"prompt_tokens":1,"completion_tokens":-1})",
      R"({"prompt_tokens":1,"completion_tokens":1,"prompt_cache_hit_tokens":-1})",
      R"({"prompt_tokens":1.5,"completion_tokens":1})",
      R"({"prompt_tokens":-1.0,"completion_tokens":1})",
      R"({"prompt_tokens":1e300,"completion_tokens":1})",
      R"({"prompt_tokens":1,"completion_tokens":1e300})",
      R"({"prompt_tokens":1000000001,"completion_tokens":1})",
      R"({"prompt_tokens":9223372036854775807,"completion_tokens":1})",
      R"({"prompt_tokens":9223372036854775808,"completion_tokens":1})",
      R"({"prompt_tokens":18446744073709551615,"completion_tokens":1})",
      R"({"prompt_tokens":18446744073709551616,"completion_tokens":1})",
      R"({"prompt_tokens":"12","completion_tokens":1})",
      R"({"prompt_tokens":true,"completion_tokens":1})",
      R"({"prompt_tokens":[1],"completion_tokens":1})",
      R"({"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":11})",
      R"({"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":11}})",
      R"({"prompt_tokens":10,"completion_tokens":1,)"
      R"("prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":5}})",
      R"({"prompt_tokens":10,"completion_tokens":1,)"
      R"("prompt_tokens_details":{"cached_tokens":"6"}})",
      R"({"prompt_tokens":10,"completion_tokens":1,)"
      R"("completion_tokens_details":{"reasoning_tokens":-1}})",
  };
  for (const char* text : texts) {
    INFO(text);
    const HttpReply reply = answer_with(text);
    const DecodedReply decoded = decode_reply(reply, Provider{});
    CHECK(decoded.outcome.ending == Ending::answered);  // the answer is none the worse
    CHECK(decoded.outcome.may_be_billed);
    CHECK_FALSE(decoded.usage.has_value());
    const Settlement settlement =
        settlement_of(decoded, reply, Billing{PriceRow{PriceId{1}, kGpt41}});
    CHECK(settlement.cost_basis == "unknown");
    CHECK_FALSE(settlement.cost_pusd.has_value());
    CHECK_FALSE(settlement.price.has_value());
  }
}

// They counted as 0 once, and an answer that said nothing of its tokens cost nothing.
TEST_CASE("usage: a null in place of a count is no count") {
  CHECK_FALSE(usage_of(R"({"prompt_tokens":null,"completion_tokens":null})").has_value());
  CHECK_FALSE(usage_of(R"({"prompt_tokens":10,"completion_tokens":null})").has_value());
  CHECK_FALSE(
      usage_of(R"({"input_tokens":10,"output_tokens":null})", Dialect::anthropic).has_value());
}

TEST_CASE("usage: each dialect reads its own names only") {
  CHECK_FALSE(usage_of(R"({"input_tokens":10,"output_tokens":1})").has_value());
  CHECK_FALSE(
      usage_of(R"({"prompt_tokens":10,"completion_tokens":1})", Dialect::anthropic).has_value());
  CHECK_FALSE(usage_of(R"({"input_tokens":-10,"output_tokens":1})", Dialect::anthropic));
  CHECK_FALSE(usage_of(R"({"input_tokens":1,"output_tokens":1,"cache_read_input_tokens":1e18})",
                       Dialect::anthropic));
}

TEST_CASE("usage: the ledger has the usage as it came, whole or not") {
  const auto kept = [](const std::string& usage) {
    return decode_reply(answer_with(usage), Provider{}).usage_json;
  };
  CHECK(kept(R"({"prompt_tokens":1, "completion_tokens":2, "odd":[null]})") ==
        R"({"prompt_tokens":1,"completion_tokens":2,"odd":[null]})");
  CHECK(kept(R"({"prompt_tokens":-1})") == R"({"prompt_tokens":-1})");
  CHECK(kept("7").empty());
}

TEST_CASE("usage: the basis of a cost") {
  const HttpReply reply = answer_with(R"({"prompt_tokens":10,"completion_tokens":1})");
  const DecodedReply decoded = decode_reply(reply, Provider{});

  const Settlement priced = settlement_of(decoded, reply, Billing{PriceRow{PriceId{3}, kGpt41}});
  CHECK(priced.cost_basis == "usage");
  CHECK(priced.cost_pusd == 28'000'000);
  CHECK(priced.price->value == 3);

  const Settlement unpriced = settlement_of(decoded, reply, {});
  CHECK(unpriced.cost_basis == "unpriced");
  CHECK_FALSE(unpriced.cost_pusd.has_value());
  CHECK_FALSE(unpriced.price.has_value());
  CHECK(unpriced.usage == Usage{10, 0, 0, 1, 0});
}

TEST_CASE("usage: the dearest that can be believed still fits") {
  const Usage all{1'000'000'000, 1'000'000'000, 1'000'000'000, 1'000'000'000, 0};
  const ModelPrice dear{1'000'000'000, 1'000'000'000, 1'000'000'000, 1'000'000'000};
  CHECK(cost_pusd(all, dear) == 4'000'000'000'000'000'000);
  CHECK(ceiling_pusd(1'000'000'000, 1'000'000'000, dear) == 2'000'000'000'000'000'000);
}
