// Streamed answers: the grammar, the two dialects, and cuts at every byte.

#include "llm/stream.h"

#include <random>

#include "llm/reply.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

constexpr std::size_t kPlenty = 1 << 20;

std::vector<SseEvent> events_of(const std::string& bytes, std::size_t chunk = 1'000'000) {
  SseReader reader(kPlenty);
  std::vector<SseEvent> events;
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    REQUIRE(reader.feed(std::string_view(bytes).substr(at, chunk), events));
  }
  return events;
}

StreamedReply read_in_chunks(Dialect dialect, const std::string& bytes, std::size_t chunk) {
  StreamReader reader(dialect, kPlenty);
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    reader.feed(std::string_view(bytes).substr(at, chunk));
  }
  return reader.take();
}

StreamedReply read_all(Dialect dialect, const std::string& bytes) {
  return read_in_chunks(dialect, bytes, bytes.size());
}

std::string said(const StreamedReply& reply) {
  return reply.text + "|" + reply.finish_reason + "|" + reply.model + "|" + reply.usage_json + "|" +
         reply.error_json + "|" + reply.service_tier + "|" +
         (reply.has_final_usage ? "usage " : "") + (reply.has_refusal ? "refusal " : "") +
         (reply.is_ended ? "ended " : "") + (reply.is_malformed ? "malformed " : "") +
         std::to_string(reply.reasoning_bytes);
}

const std::string kOpenAi =
    ": keep-alive\n\n"
    R"(data: {"id":"c1","model":"gpt-x","choices":[{"index":0,"delta":{"role":"assistant"}}]})"
    "\n\n"
    R"(data: {"choices":[{"index":0,"delta":{"content":"Grüße 你好 "},)"
    R"("finish_reason":null}],"usage":null})"
    "\r\n\r\n"
    R"(data: {"choices":[{"index":0,"delta":{"content":"🙂 end"}}]})"
    "\r\r"
    R"(data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\n"
    R"(data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}})"
    "\n\ndata: [DONE]\n\n";

const std::string kAnthropic =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":25,)"
    R"("cache_read_input_tokens":5,"output_tokens":1,"service_tier":"standard"}}})"
    "\n\nevent: content_block_start\n"
    R"(data: {"type":"content_block_start","index":0,)"
    R"("content_block":{"type":"thinking","thinking":""}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,)"
    R"("delta":{"type":"thinking_delta","thinking":"hmm"}})"
    "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":1,)"
    R"("delta":{"type":"text_delta","text":"Hallo"}})"
    "\n\nevent: invented_later\ndata: {\"type\":\"invented_later\"}\n\nevent: message_delta\n"
    R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
    R"("usage":{"output_tokens":15}})"
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

HttpReply reply_of(const StreamedReply& streamed, Exchange exchange = Exchange::complete) {
  HttpReply reply;
  reply.status = 200;
  reply.exchange = exchange;
  reply.streamed = streamed;
  return reply;
}

Provider provider_of(Dialect dialect) {
  Provider provider;
  provider.dialect = dialect;
  return provider;
}

}  // namespace

TEST_CASE("stream: lines end with LF, CR or CRLF, wherever the bytes are cut") {
  for (const std::string end : {"\n", "\r", "\r\n"}) {
    const std::string bytes = "event: a" + end + "data: one" + end + "data:two" + end + end +
                              ": comment" + end + "data:  spaced" + end + end + "data: lost";
    for (std::size_t chunk = 1; chunk < bytes.size(); ++chunk) {
      const auto events = events_of(bytes, chunk);
      REQUIRE(events.size() == 2);
      CHECK(events[0].name == "a");
      CHECK(events[0].data == "one\ntwo");
      CHECK(events[1].name.empty());
      CHECK(events[1].data == " spaced");  // one space belongs to the grammar
    }
  }
}

TEST_CASE("stream: what is no data is no event") {
  CHECK(events_of("event: a\n\nid: 3\nretry: 5\n\n: only\n\n\n\n").empty());
  CHECK(events_of("data\n\n").size() == 1);  // a field without a colon is an empty value
  CHECK(events_of("\xef\xbb\xbf"
                  "data: x\n\n")
            .size() == 1);
  const auto after = events_of("event: a\n\ndata: x\n\n");
  REQUIRE(after.size() == 1);
  CHECK(after[0].name.empty());  // the name went with its event
}

TEST_CASE("stream: a line or an event without an end is stopped") {
  SseReader reader(100);
  std::vector<SseEvent> events;
  CHECK(reader.feed(std::string(100, 'x'), events));
  CHECK_FALSE(reader.feed("x", events));
  SseReader lines(100);
  bool is_fed = true;
  for (int i = 0; i < 50 && is_fed; ++i) is_fed = lines.feed("data: 0123456789\n", events);
  CHECK_FALSE(is_fed);
  StreamReader answer(Dialect::openai, 200);
  StreamReader::Fed fed = StreamReader::Fed::nothing;
  for (int i = 0; i < 50 && fed != StreamReader::Fed::too_long; ++i) {
    fed = answer.feed(R"(data: {"choices":[{"delta":{"content":"0123456789"}}]})"
                      "\n\n");
  }
  CHECK(fed == StreamReader::Fed::too_long);
}

TEST_CASE("stream: an OpenAI answer, cut at every byte, is one answer") {
  const std::string whole = said(read_all(Dialect::openai, kOpenAi));
  CHECK(whole ==
        "Grüße 你好 🙂 end|stop|gpt-x|{\"prompt_tokens\":10,\"completion_tokens\":5}|||"
        "usage ended 0");
  for (std::size_t chunk = 1; chunk < kOpenAi.size(); ++chunk) {
    REQUIRE(said(read_in_chunks(Dialect::openai, kOpenAi, chunk)) == whole);
  }
}

TEST_CASE("stream: an Anthropic answer, cut at every byte, is one answer") {
  const std::string whole = said(read_all(Dialect::anthropic, kAnthropic));
  CHECK(whole ==
        "Hallo|end_turn|claude-x|{\"cache_read_input_tokens\":5,\"input_tokens\":25,"
        "\"output_tokens\":15,\"service_tier\":\"standard\"}||standard|usage ended 3");
  for (std::size_t chunk = 1; chunk < kAnthropic.size(); ++chunk) {
    REQUIRE(said(read_in_chunks(Dialect::anthropic, kAnthropic, chunk)) == whole);
  }
}

TEST_CASE("stream: only what belongs to the answer is progress") {
  using Fed = StreamReader::Fed;
  struct Row {
    const char* event;
    Fed fed;
  };
  const Row openai[] = {
      {": keep-alive\n\n", Fed::nothing},
      {": OPENROUTER PROCESSING\n\n", Fed::nothing},
      {"\n\n\n", Fed::nothing},
      {R"(data: {"choices":[{"delta":{"role":"assistant","content":""}}]})", Fed::nothing},
      {R"(data: {"choices":[]})", Fed::nothing},
      {R"(data: {"choices":[{"delta":{"content":"x"}}]})", Fed::payload},
      {R"(data: {"choices":[{"delta":{"reasoning_content":"x"}}]})", Fed::payload},
      {R"(data: {"choices":[{"delta":{"reasoning":"x"}}]})", Fed::payload},
      {R"(data: {"choices":[{"delta":{"refusal":"no"}}]})", Fed::payload},
      {R"(data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]})", Fed::payload},
      {R"(data: {"choices":[{"delta":{},"finish_reason":"stop"}]})", Fed::payload},
      {R"(data: {"choices":[],"usage":{"prompt_tokens":1}})", Fed::payload},
      {R"(data: {"error":{"message":"x"}})", Fed::payload},
      {"data: [DONE]", Fed::payload},
  };
  for (const Row& row : openai) {
    INFO(row.event);
    StreamReader reader(Dialect::openai, kPlenty);
    CHECK(reader.feed(std::string(row.event) + "\n\n") == row.fed);
  }
  StreamReader anthropic(Dialect::anthropic, kPlenty);
  CHECK(anthropic.feed("data: {\"type\":\"ping\"}\n\n") == Fed::nothing);
  CHECK(anthropic.feed(R"(data: {"type":"message_start","message":{"usage":{"input_tokens":1}}})"
                       "\n\n") == Fed::nothing);
}

TEST_CASE("stream: values of the wrong type are no answer and no crash") {
  for (const std::string event :
       {R"({"choices":{"delta":{"content":"x"}}})", R"({"choices":[7,null,"x",[]]})",
        R"({"choices":[{"delta":"x"}]})", R"({"choices":[{"delta":{"content":7}}]})",
        R"({"choices":[{"index":"0","delta":{"content":null}}],"usage":"much"})",
        R"({"choices":[{"index":1,"delta":{"content":"the second choice"}}]})",
        R"({"type":7,"delta":[],"usage":[1]})", R"({"model":{"a":1},"service_tier":5})"}) {
    for (const Dialect dialect : {Dialect::openai, Dialect::anthropic}) {
      INFO(event);
      const StreamedReply reply = read_all(dialect, "data: " + std::string(event) + "\n\n");
      CHECK(reply.text.empty());
      CHECK_FALSE(reply.is_malformed);
    }
  }
  for (const std::string event : {"not json", "[1]", "7", "{\"choices\":"}) {
    CHECK(read_all(Dialect::openai, "data: " + std::string(event) + "\n\n").is_malformed);
  }
}

TEST_CASE("stream: mutated bytes neither crash nor depend on how they are cut") {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const Dialect dialect = round % 2 == 0 ? Dialect::openai : Dialect::anthropic;
    std::string bytes = dialect == Dialect::openai ? kOpenAi : kAnthropic;
    for (int change = 0; change < 4; ++change) {
      const std::size_t at = random() % bytes.size();
      if (random() % 3 == 0) {
        bytes.erase(at, random() % 20);
      } else {
        bytes[at] = "{}[]\",:\n\r\\dx\xff"[random() % 14];
      }
      if (bytes.empty()) bytes = "x";
    }
    const std::string whole = said(read_all(dialect, bytes));
    REQUIRE(said(read_in_chunks(dialect, bytes, 1 + random() % 7)) == whole);
  }
}

TEST_CASE("stream: a whole answer is a result with its usage") {
  const DecodedReply openai =
      decode_reply(reply_of(read_all(Dialect::openai, kOpenAi)), provider_of(Dialect::openai));
  CHECK(openai.outcome.ending == Ending::answered);
  CHECK(openai.text == "Grüße 你好 🙂 end");
  REQUIRE(openai.usage);
  CHECK(*openai.usage == Usage{10, 0, 0, 5, 0});
  const DecodedReply anthropic = decode_reply(reply_of(read_all(Dialect::anthropic, kAnthropic)),
                                              provider_of(Dialect::anthropic));
  CHECK(anthropic.outcome.ending == Ending::answered);
  REQUIRE(anthropic.usage);
  CHECK(*anthropic.usage == Usage{25, 5, 0, 15, 0});
}

TEST_CASE("stream: how it ends decides what it is") {
  struct Row {
    const char* what;
    std::string bytes;
    Exchange exchange;
    Ending ending;
    const char* error_class;
    bool may_be_billed;
  };
  const std::string delta = R"(data: {"choices":[{"index":0,"delta":{"content":"half"}}]})"
                            "\n\n";
  const auto finish = [](const std::string& reason) {
    return R"(data: {"choices":[{"index":0,"delta":{},"finish_reason":")" + reason + "\"}]}\n\n";
  };
  const std::string done = "data: [DONE]\n\n";
  const std::string usage =
      R"(data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}})"
      "\n\n";
  const Row rows[] = {
      {"[DONE] without a finish reason", delta + usage + done, Exchange::complete,
       Ending::bad_reply, "incomplete", false},
      {"EOF without one", delta, Exchange::complete, Ending::bad_reply, "incomplete", true},
      {"a finish reason and a clean end", delta + finish("stop") + usage, Exchange::complete,
       Ending::answered, "", false},
      {"whole, without usage", delta + finish("stop") + done, Exchange::complete, Ending::answered,
       "", true},
      {"cut after a delta", delta, Exchange::cut, Ending::cut, "cut", true},
      {"cut after the finish reason, and usage not sure to be whole",
       delta + finish("stop") + usage, Exchange::cut, Ending::cut, "cut", true},
      {"cut after [DONE]: nothing is missing", delta + finish("stop") + usage + done,
       Exchange::stalled, Ending::answered, "", false},
      {"stalled", delta, Exchange::stalled, Ending::cut, "stalled", true},
      {"max_latency", delta, Exchange::too_slow, Ending::too_slow, "max_latency", true},
      {"length", delta + finish("length") + usage + done, Exchange::complete, Ending::truncated,
       "truncated", false},
      {"an error and then [DONE]",
       delta + "data: {\"error\":{\"message\":\"x\",\"code\":503}}\n\n" + done, Exchange::complete,
       Ending::overloaded, "overloaded", true},
      {"OpenRouter's finish_reason error beside its error",
       delta + R"(data: {"error":{"code":502,"message":"x"},"choices":[{"finish_reason":"error"}]})"
               "\n\n",
       Exchange::complete, Ending::overloaded, "overloaded", true},
      {"an event that is no JSON", delta + "data: oops\n\n" + finish("stop") + done,
       Exchange::complete, Ending::bad_reply, "not_json", true},
      {"nothing but comments", ": OPENROUTER PROCESSING\n\n", Exchange::complete, Ending::bad_reply,
       "incomplete", true},
      {"a finish without content", finish("stop") + usage + done, Exchange::complete,
       Ending::bad_reply, "no_content", false},
      {"a refusal",
       R"(data: {"choices":[{"delta":{"refusal":"no"},"finish_reason":"stop"}]})"
       "\n\n" +
           usage + done,
       Exchange::complete, Ending::refused, "refused", false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const DecodedReply decoded = decode_reply(
        reply_of(read_all(Dialect::openai, row.bytes), row.exchange), provider_of(Dialect::openai));
    const std::string ending = to_string(decoded.outcome.ending);
    CHECK(ending == to_string(row.ending));
    CHECK(decoded.outcome.error_class == row.error_class);
    CHECK(decoded.outcome.may_be_billed == row.may_be_billed);
  }
}

TEST_CASE("stream: an Anthropic error event after the start is an error") {
  const DecodedReply busy = decode_reply(
      reply_of(read_all(Dialect::anthropic,
                        kAnthropic.substr(0, 400) +
                            "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                            "\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")),
      provider_of(Dialect::anthropic));
  CHECK(busy.outcome.error_class == "overloaded");
  CHECK(busy.outcome.may_be_billed);
}

TEST_CASE("stream: usage that comes with every delta is the bill only at the end") {
  const std::string event = R"(data: {"choices":[{"index":0,"delta":{"content":"a"}}],)"
                            R"("usage":{"prompt_tokens":10,"completion_tokens":1}})"
                            "\n\n";
  const DecodedReply open = decode_reply(reply_of(read_all(Dialect::openai, event + event)),
                                         provider_of(Dialect::openai));
  CHECK_FALSE(open.usage);
  CHECK(open.outcome.may_be_billed);
  const DecodedReply whole =
      decode_reply(reply_of(read_all(Dialect::openai, event + "data: [DONE]\n\n")),
                   provider_of(Dialect::openai));
  CHECK(whole.usage);
}

TEST_CASE("stream: a cut answer's use is an estimate, and says so") {
  const std::string delta = R"(data: {"choices":[{"delta":{"content":"twelve chars"}}]})"
                            "\n\n";
  const HttpReply cut = reply_of(read_all(Dialect::openai, delta), Exchange::cut);
  CHECK(estimated_usage_json(cut, 40) ==
        R"({"completion_tokens":4,"estimated":true,"prompt_tokens":40})");
  CHECK(estimated_usage_json(reply_of({}, Exchange::cut), 40).empty());
  const DecodedReply decoded = decode_reply(cut, provider_of(Dialect::openai));
  const Settlement settlement =
      settlement_of(decoded, cut, Billing{PriceRow{PriceId{1}, ModelPrice{1, 1, 1, 1}}});
  CHECK(settlement.cost_basis == "unknown");
  CHECK_FALSE(settlement.usage);
}

TEST_CASE("reasoning that eats the limit is told apart from a long answer") {
  const std::string body =
      R"({"choices":[{"message":{"content":""},"finish_reason":"length"}],"usage":)"
      R"({"prompt_tokens":5,"completion_tokens":100,"completion_tokens_details":)"
      R"({"reasoning_tokens":90}}})";
  HttpReply reply;
  reply.status = 200;
  reply.body = body;
  const DecodedReply decoded = decode_reply(reply, Provider{});
  CHECK(decoded.outcome.ending == Ending::overthought);
  CHECK(decoded.outcome.error_class == "reasoning_exhausted");
}
