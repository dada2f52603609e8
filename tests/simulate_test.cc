// The simulator is what other tests measure docmill by, so here it is measured itself: what it
// answers, and what its chance follows from.

#include "simulate/simulator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "simulate/answer.h"
#include "simulate/digest.h"
#include "simulate/rate_bucket.h"
#include "simulate/scripted_model.h"
#include "simulate/sightings.h"
#include "tests/catch.h"
#include "tests/simulate_client.h"

using docmill::simulated_answer;
using docmill::Simulator;
using docmill::SimulatorOptions;
using nlohmann::json;
using namespace docmill::simulate_test;
using namespace std::chrono_literals;

TEST_CASE("simulate: an answer is a function of its request") {
  const Running provider;

  const std::string first = provider.ask("m", "Bears eat honey.").content();
  const std::string again = provider.ask("other", "Bears eat honey.").content();

  CHECK(first == simulated_answer("Sum up.", "Bears eat honey."));
  CHECK(again == first);
  CHECK(first.find(docmill::simulated_tag("Sum up.", "Bears eat honey.")) != std::string::npos);
  CHECK(simulated_answer("Sum up.", "Bears eat honey") != first);
  CHECK(docmill::simulated_tag("a", "b") != docmill::simulated_tag("a", "c"));
  CHECK(docmill::simulated_tag("a", "b") != docmill::simulated_tag("c", "b"));
  CHECK(simulated_answer("Sum up.B", "ears eat honey.") != first);
  for (const std::size_t size : {0U, 1U, 40U, 100'000U}) {
    const std::size_t answer_size = simulated_answer("s", text_of_length(size)).size();
    CHECK(answer_size >= 300);
    CHECK(answer_size <= 700);
  }
}

TEST_CASE("simulate: texts of several messages and parts are joined by newlines") {
  const Running provider;
  const json messages = {
      {{"role", "developer"}, {"content", "one"}},
      {{"role", "user"},
       {"content", {{{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}}}},
      {{"role", "assistant"}, {"content", "c"}},
      {{"role", "system"}, {"content", "two"}}};

  CHECK(provider.ask("m", "", {{"messages", messages}}).content() ==
        simulated_answer("one\ntwo", "a\nb\nc"));
}

TEST_CASE("simulate: words are quoted whole from text that is not ASCII") {
  const std::string user = "毕老师说一加一等于二这是没有空格的一段话";
  const Running provider;

  // json::parse would throw on half a character.
  CHECK(provider.ask("m", user).content() == simulated_answer("Sum up.", user));
}

TEST_CASE("simulate: a JSON answer has every property of the schema, of its type") {
  const json schema = {
      {"type", "object"},
      {"properties",
       {{"title", {{"type", "string"}, {"maxLength", 12}}},
        {"score", {{"type", "number"}, {"minimum", 2}, {"maximum", 3}}},
        {"pages", {{"type", "integer"}, {"minimum", 5}, {"maximum", 6}}},
        {"below", {{"type", "integer"}, {"maximum", -3}}},
        {"kind", {{"enum", {"letter", "bill"}}}},
        {"urgent", {{"type", "boolean"}}},
        {"maybe", {{"type", {"null", "string"}}}},
        {"people", {{"type", "array"}, {"minItems", 2}, {"items", {{"$ref", "#/$defs/person"}}}}},
        {"choice", {{"anyOf", {{{"type", "integer"}}, {{"type", "null"}}}}}}}},
      {"required", {"title"}},
      {"$defs",
       {{"person",
         {{"type", "object"},
          {"properties",
           {{"name", {{"type", "string"}}}, {"child", {{"$ref", "#/$defs/person"}}}}}}}}}};
  const Running provider;

  const Heard heard = provider.ask(
      "m", "Dear Sir",
      {{"response_format",
        {{"type", "json_schema"}, {"json_schema", {{"name", "n"}, {"schema", schema}}}}}});
  const json answer = json::parse(heard.content());

  CHECK(answer.size() == schema.at("properties").size());
  CHECK(answer.at("title").get<std::string>().size() == 12);
  CHECK((answer.at("score") > 2 && answer.at("score") < 3));
  CHECK((answer.at("pages") == 5 || answer.at("pages") == 6));
  CHECK(answer.at("below") <= -3);
  CHECK((answer.at("kind") == "letter" || answer.at("kind") == "bill"));
  CHECK(answer.at("urgent").is_boolean());
  CHECK(answer.at("maybe").is_string());
  CHECK(answer.at("choice").is_number_integer());
  REQUIRE(answer.at("people").size() >= 2);
  CHECK(answer.at("people").at(0).at("name").is_string());
  CHECK(heard.content().find(docmill::simulated_tag("Sum up.", "Dear Sir")) != std::string::npos);
}

TEST_CASE("simulate: json_object without a schema answers with a tagged object") {
  const Running provider;
  const json answer = json::parse(
      provider.ask("m", "x", {{"response_format", {{"type", "json_object"}}}}).content());
  CHECK(answer.at("tag") == docmill::simulated_tag("Sum up.", "x"));
}

TEST_CASE("simulate: usage is a function of the texts and never more than a token a byte") {
  for (const std::size_t size : {0U, 1U, 2U, 3U, 100U, 5000U}) {
    const std::string text(size, 'x');
    const docmill::SimulatedUsage usage = docmill::simulated_usage("", text, "answer", 0.5);
    CHECK(usage.prompt_tokens >= 1);
    CHECK(usage.prompt_tokens <= static_cast<std::int64_t>(size) + 8);
    CHECK(usage.cached_tokens == usage.prompt_tokens / 2);
  }
  const Running provider;
  const json usage = provider.ask("m+cached=0.5", "Bears").parsed().at("usage");
  const docmill::SimulatedUsage expected =
      docmill::simulated_usage("Sum up.", "Bears", simulated_answer("Sum up.", "Bears"), 0.5);
  CHECK(usage.at("prompt_tokens") == expected.prompt_tokens);
  CHECK(usage.at("completion_tokens") == expected.completion_tokens);
  CHECK(usage.at("total_tokens") == expected.prompt_tokens + expected.completion_tokens);
  CHECK(usage.at("prompt_tokens_details").at("cached_tokens") == expected.cached_tokens);
}

TEST_CASE("simulate: max_tokens cuts the answer to exactly that many") {
  Running provider;
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    const json reply = provider.ask("m", "Bears", {{name, 10}}).parsed();
    CHECK(reply.at("choices").at(0).at("finish_reason") == "length");
    CHECK(reply.at("usage").at("completion_tokens") == 10);
    const auto content = reply.at("choices").at(0).at("message").at("content").get<std::string>();
    CHECK(simulated_answer("Sum up.", "Bears").starts_with(content));
  }
  CHECK(provider.ask("m", "Bears", {{"max_tokens", 10'000}}).content() ==
        simulated_answer("Sum up.", "Bears"));
  CHECK(provider.ask("m", "Bears", {{"max_tokens", 0}}).status == 400);
  CHECK(provider.stop().counters().answered == 1);
}

TEST_CASE("simulate: a mix names what it does not know, and what it does") {
  CHECK_THROWS_WITH(SimulatorOptions::parse_mix("500=0.5,fire=0.1"),
                    Catch::Contains("'fire'") && Catch::Contains("insufficient_quota"));
  CHECK_THROWS_WITH(SimulatorOptions::parse_mix("500=2"), Catch::Contains("500"));
  CHECK_THROWS_WITH(SimulatorOptions::parse_mix("500=0.6,reset=0.6"), Catch::Contains("above 1"));
  CHECK_THROWS_AS(SimulatorOptions::parse_mix("rate_limit=0.1"), std::invalid_argument);
  CHECK(SimulatorOptions::parse_mix("").empty());
  CHECK(SimulatorOptions::parse_mix(" 500=0.05, reset=0.01 ").size() == 2);
}

TEST_CASE("simulate: the seed decides, not the order of arrival") {
  const auto fates = [](std::uint64_t seed, bool backwards) {
    std::map<std::string, std::string> fate_of;
    Running provider(with_mix("500=0.3,503=0.2", seed));
    std::vector<std::string> bodies;
    for (int i = 0; i < 100; ++i) bodies.push_back(chat("m", "doc " + std::to_string(i % 50)));
    if (backwards) std::reverse(bodies.begin(), bodies.end());
    for (const Heard& heard : provider.send_together(bodies)) CHECK(heard.code == CURLE_OK);
    for (const json& line : provider.log()) {
      fate_of[line.at("body_sha").get<std::string>()] += line.at("fate").get<std::string>() + " ";
    }
    return fate_of;
  };
  const auto once = fates(7, false);

  CHECK(once.size() == 50);
  CHECK(fates(7, true) == once);
  CHECK(fates(8, false) != once);
  // Each body was sent twice; chance is drawn anew, or a retry would be of no use.
  CHECK(std::any_of(once.begin(), once.end(),
                    [](const auto& entry) { return entry.second == "500 answer "; }));
}

TEST_CASE("simulate: shares come out as asked") {
  Running provider(with_mix("500=0.25"));
  std::vector<std::string> bodies;
  for (int i = 0; i < 400; ++i) bodies.push_back(chat("m", "doc " + std::to_string(i)));

  for (const Heard& heard : provider.send_together(bodies)) CHECK(heard.code == CURLE_OK);

  const docmill::SimulatorCounters& counters = provider.stop().counters();
  CHECK(counters.requests == 400);
  CHECK(counters.by_fate.at("500") > 70);
  CHECK(counters.by_fate.at("500") < 130);
  CHECK(counters.answered + counters.by_fate.at("500") == 400);
}

TEST_CASE("simulate: a lognormal latency keeps its average and its p99") {
  docmill::sim::Draws draws(1);
  const docmill::sim::Latency latency{127ms, 312ms};
  std::vector<double> drawn_ms;
  for (int i = 0; i < 20'000; ++i) {
    drawn_ms.push_back(static_cast<double>(latency.draw(draws).count()) / 1000);
  }
  std::sort(drawn_ms.begin(), drawn_ms.end());
  double sum_ms = 0;
  for (const double ms : drawn_ms) sum_ms += ms;

  CHECK(std::abs(sum_ms / 20'000 - 127) < 3);
  CHECK(std::abs(drawn_ms.at(19'800) - 312) < 20);
  CHECK(docmill::sim::Latency{50ms, {}}.draw(draws) == 50ms);
}

TEST_CASE("simulate: the latency asked for passes before the reply") {
  const Running provider;
  const auto start = std::chrono::steady_clock::now();
  const Heard heard = provider.ask("m+latency=60ms", "x");
  CHECK(std::chrono::steady_clock::now() - start >= 60ms);
  CHECK(heard.headers.at("openai-processing-ms") == "60");
  // A model named as a preset has the preset's latency, unless told otherwise.
  CHECK(provider.ask("gpt-4.1", "x").headers.at("openai-processing-ms") != "0");
  CHECK(provider.ask("gpt-4.1+latency=0", "x").headers.at("openai-processing-ms") == "0");
}

TEST_CASE("simulate: a rate bucket refills by the clock and holds its rate") {
  docmill::sim::TimePoint at{};
  docmill::sim::RateBucket bucket(600, 5, at);
  int allowed = 0;
  for (int ms = 0; ms < 60'000; ++ms, at += 1ms) allowed += bucket.take(at).allowed ? 1 : 0;
  CHECK(allowed >= 604);
  CHECK(allowed <= 605);

  const auto refused = bucket.take(at);
  CHECK(refused.limit == 600);
  CHECK(bucket.take(at + refused.until_next).allowed);
  CHECK(docmill::sim::go_duration(4ms) == "4ms");
  CHECK(docmill::sim::go_duration(1s) == "1s");
  CHECK(docmill::sim::go_duration(39'801ms) == "39.801s");
  CHECK(docmill::sim::go_duration(64'296ms) == "1m4.296s");
  CHECK(docmill::sim::go_duration(6min) == "6m0s");
}

TEST_CASE("simulate: every request has its line in the log before its reply is out") {
  SimulatorOptions options;
  options.api_key = "sk-secret";
  Running provider(options);
  const std::vector<std::string> headers{"Authorization: Bearer sk-secret",
                                         "x-client-request-id: attempt-17"};
  const Heard answered = provider.send(chat("m", "Bears"), 5000, headers);
  CHECK(provider.log().size() == 1);
  const Heard cut = provider.send(chat("m+cut", "Bears"), 5000, headers);
  const Heard failed = provider.send(chat("m+500", "Bears"), 5000, headers);
  const Heard empty = provider.send(chat("m+empty", "Bears"), 5000, headers);
  CHECK(empty.code == CURLE_OK);
  const Heard unknown = provider.send(chat("m", "Bears"));
  CHECK(unknown.status == 401);

  const std::vector<json> log = provider.log();
  REQUIRE(log.size() == 5);
  const json usage = answered.parsed().at("usage");
  CHECK(log[0].at("n") == 1);
  CHECK(log[0].at("model") == "m");
  CHECK(log[0].at("path") == "/v1/chat/completions");
  CHECK(log[0].at("client_request_id") == "attempt-17");
  CHECK(log[0].at("doc") == docmill::sim::hex(docmill::sim::sha256("Bears"), 16));
  CHECK(log[0].at("fate") == "answer");
  CHECK(log[0].at("request_id") == answered.headers.at("x-request-id"));
  CHECK(log[0].at("prompt_tokens") == usage.at("prompt_tokens"));
  CHECK(log[0].at("completion_tokens") == usage.at("completion_tokens"));
  CHECK(log[0].at("authorization_seen") == true);
  CHECK(log[1].at("fate") == "cut");
  CHECK(log[1].at("completion_tokens") == usage.at("completion_tokens"));
  CHECK(log[2].at("status") == 500);
  CHECK(log[2].at("prompt_tokens") == 0);
  CHECK(log[3].at("fate") == "empty");
  CHECK(log[3].at("prompt_tokens") == 0);  // closed before inference: not billed
  CHECK(log[4].at("fate") == "bad_key");
  CHECK(log[4].at("client_request_id").is_null());
  CHECK(log[4].at("authorization_seen") == false);
  for (const json& line : log) CHECK(line.dump().find("sk-secret") == std::string::npos);
}

TEST_CASE("simulate: sightings forget what is oldest") {
  docmill::sim::Sightings seen(2);
  CHECK(seen.note(1) == 0);
  CHECK(seen.note(1) == 1);
  CHECK(seen.note(2) == 0);
  CHECK(seen.note(3) == 0);
  CHECK(seen.note(1) == 0);
  CHECK(seen.note(3) == 1);
}
