// Streams over real sockets: what counts as progress, which timer ends them, and what comes out.

#include <nlohmann/json.hpp>

#include "llm/reply.h"
#include "simulate/answer.h"
#include "tests/catch.h"
#include "tests/raw_server.h"
#include "tests/simulate_client.h"

using namespace docmill;
using namespace docmill::wire_test;
using docmill::simulate_test::Running;

namespace {

const std::string kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string chunk(const std::string& bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}

std::string delta(const std::string& text) {
  return R"(data: {"choices":[{"index":0,"delta":{"content":")" + text + "\"}}]}\n\n";
}

const std::string kFinish =
    R"(data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\n"
    R"(data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})"
    "\n\n";
const std::string kDone = "data: [DONE]\n\n";
const std::string kEnd = "0\r\n\r\n";

HttpReply ask(const Play& play, Provider provider = quick_provider("p", ""),
              std::optional<std::int64_t> max_latency_ms = std::nullopt) {
  const RawServer server([&](const Seen&) { return play; });
  provider.base_url = server.url();
  Caller caller({provider});
  HttpRequest request;
  request.provider = &caller.providers.at("p");
  request.path = "/chat/completions";
  request.body = "{}";
  request.is_stream = true;
  request.max_latency_ms = max_latency_ms;
  return caller.finish(caller.start(std::move(request)));
}

std::string outcome_of(const HttpReply& reply) {
  const DecodedReply decoded = decode_reply(reply, quick_provider("p", ""));
  return decoded.outcome.ending == Ending::answered ? "answered: " + decoded.text
                                                    : decoded.outcome.error_class;
}

}  // namespace

TEST_CASE("streams: an answer, cut into chunks anywhere, is whole") {
  const std::string body =
      ": hello\n\n" + delta("Gr\xc3\xbc\xc3\x9f") + delta("e") + kFinish + kDone;
  std::string bytes = kHead;
  for (const char byte : body) bytes += chunk(std::string(1, byte));
  const HttpReply reply = ask({bytes + kEnd});
  REQUIRE(reply.streamed);
  CHECK(reply.body.empty());
  CHECK(outcome_of(reply) ==
        "answered: Gr\xc3\xbc\xc3\x9f"
        "e");
}

TEST_CASE("streams: comments for ever end at the first-byte timeout") {
  Provider provider = quick_provider("p", "");
  provider.first_byte_timeout_ms = 200;
  const HttpReply reply = ask({.bytes = kHead,
                               .filler = chunk(": keep-alive\n\n"),
                               .filler_times = 1000,
                               .filler_every_ms = 5},
                              provider);
  CHECK(reply.exchange == Exchange::first_byte_timeout);
  CHECK(outcome_of(reply) == "timeout");
}

TEST_CASE("streams: comments after a delta are no progress; deltas are") {
  Provider provider = quick_provider("p", "");
  provider.progress_timeout_ms = 150;
  const HttpReply stalled = ask({.bytes = kHead + chunk(delta("x")),
                                 .filler = chunk(": keep-alive\n\n"),
                                 .filler_times = 1000,
                                 .filler_every_ms = 5},
                                provider);
  CHECK(stalled.exchange == Exchange::stalled);
  CHECK(outcome_of(stalled) == "stalled");
  provider.deadline_ms = 600;
  const HttpReply slow = ask(
      {.bytes = kHead, .filler = chunk(delta("x")), .filler_times = 1000, .filler_every_ms = 50},
      provider);
  CHECK(slow.exchange == Exchange::deadline);
}

TEST_CASE("streams: a connection that stands open after [DONE] does not lose the answer") {
  const HttpReply reply = ask({kHead + chunk(delta("x") + kFinish + kDone)});
  CHECK(outcome_of(reply) == "answered: x");
  CHECK(reply.total_ms < 2000);  // not the progress timeout
}

TEST_CASE("streams: cut before and after the end") {
  using Then = Play::Then;
  CHECK(outcome_of(ask({.bytes = kHead + chunk(delta("x")), .then = Then::close})) == "cut");
  CHECK(outcome_of(ask({.bytes = kHead + chunk(delta("x")) + kEnd})) == "incomplete");
  CHECK(outcome_of(ask({.bytes = kHead + chunk(delta("x") + kFinish), .then = Then::reset})) ==
        "cut");
  CHECK(outcome_of(ask({.bytes = kHead + chunk(delta("x") + kFinish) + kEnd})) == "answered: x");
}

TEST_CASE("streams: JSON where a stream was asked for, and a stream without its type") {
  CHECK(outcome_of(ask({http_200(R"({"choices":[{"message":{"content":"plain"},)"
                                 R"("finish_reason":"stop"}]})")})) == "answered: plain");
  const std::string untyped = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(outcome_of(ask({untyped + chunk(delta("x") + kFinish + kDone) + kEnd})) == "answered: x");
  const std::string refused = "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}";
  CHECK(outcome_of(ask({refused})) == "bad_key");
}

TEST_CASE("streams: one without end stops at the limit of a reply") {
  const RawServer server([&](const Seen&) {
    return Play{
        .bytes = kHead, .filler = chunk(delta(std::string(4000, 'x'))), .filler_times = 9000};
  });
  CurlTransport::Options options;
  options.max_reply_bytes = 1 << 20;
  Caller caller({quick_provider("p", server.url())}, options);
  HttpRequest request;
  request.provider = &caller.providers.at("p");
  request.is_stream = true;
  const HttpReply reply = caller.finish(caller.start(std::move(request)));
  CHECK(reply.exchange == Exchange::oversize);
}

TEST_CASE("streams: max_latency ends a request, streamed or not, before its deadline") {
  const HttpReply trickle = ask(
      {.bytes = kHead, .filler = chunk(delta("x")), .filler_times = 1000, .filler_every_ms = 20},
      quick_provider("p", ""), 300);
  CHECK(trickle.exchange == Exchange::too_slow);
  CHECK(trickle.total_ms >= 300);
  const HttpReply silent =
      ask({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}, quick_provider("p", ""), 200);
  CHECK(silent.exchange == Exchange::too_slow);
  CHECK(outcome_of(silent) == "max_latency");
}

TEST_CASE("streams: the simulator's stream is the same answer as its plain reply") {
  Running simulator;
  Caller caller({quick_provider("sim", simulator.url("/v1"))});
  HttpRequest request;
  request.provider = &caller.providers.at("sim");
  request.path = "/chat/completions";
  request.body =
      R"({"model":"m+interval=1ms","stream":true,"stream_options":{"include_usage":true},)"
      R"("messages":[{"role":"system","content":"Sum up."},)"
      R"({"role":"user","content":"hello"}]})";
  request.is_stream = true;
  const HttpReply reply = caller.finish(caller.start(std::move(request)));
  REQUIRE(reply.streamed);
  const DecodedReply decoded = decode_reply(reply, caller.providers.at("sim"));
  CHECK(decoded.text == simulated_answer("Sum up.", "hello"));
  CHECK(decoded.usage);
}

TEST_CASE("streams: many replies without end share what memory there is for replies") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n";
  const RawServer server([&](const Seen&) {
    return Play{.bytes = head, .filler = std::string(64 << 10, 'x'), .filler_times = 400};
  });
  CurlTransport::Options options;
  options.in_flight = 16;
  options.max_replies_bytes = 8 << 20;
  Caller caller({quick_provider("p", server.url())}, options);
  forget_peak();
  [[maybe_unused]] const std::int64_t before_bytes = peak_resident_bytes();
  std::vector<AttemptId> attempts;
  for (int i = 0; i < 12; ++i) attempts.push_back(caller.start("p"));
  for (const AttemptId attempt : attempts) {
    const HttpReply reply = caller.finish(attempt);
    CHECK(reply.exchange == Exchange::oversize);
    CHECK(reply.body.empty());
  }
#ifndef __SANITIZE_ADDRESS__                                // which keeps what is freed
  CHECK(peak_resident_bytes() - before_bytes < 128 << 20);  // with the server; 164 MB unshared
#endif
}

// Streams, and lines of them that never end, once were not counted.
TEST_CASE("streams: endless ones and endless lines share it, too") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
  const std::string delta =
      R"(data: {"choices":[{"delta":{"content":")" + std::string(64 << 10, 'x') + "\"}}]}\n\n";
  for (const std::string& filler : {delta, std::string(64 << 10, 'y')}) {
    INFO(filler.substr(0, 20));
    const RawServer server([&](const Seen&) {
      return Play{.bytes = head + "data: ", .filler = filler, .filler_times = 400};
    });
    CurlTransport::Options options;
    options.in_flight = 16;
    options.max_replies_bytes = 8 << 20;
    Caller caller({quick_provider("p", server.url())}, options);
    std::vector<AttemptId> attempts;
    for (int i = 0; i < 12; ++i) {
      HttpRequest request;
      request.provider = &caller.providers.at("p");
      request.path = "/chat/completions";
      request.body = "{}";
      request.is_stream = true;
      attempts.push_back(caller.start(std::move(request)));
    }
    std::int64_t most_bytes = 0;
    int oversize = 0;
    for (const AttemptId attempt : attempts) {
      const HttpReply reply = caller.finish(attempt);
      oversize += reply.exchange == Exchange::oversize ? 1 : 0;
      if (reply.streamed) {
        most_bytes = std::max(most_bytes, static_cast<std::int64_t>(reply.streamed->text.size()));
      }
    }
    CHECK(oversize == 12);
    CHECK(most_bytes < 9 << 20);
  }
}

TEST_CASE("a key is hidden whole or in part, and after escapes are undone") {
  const std::string key = "sk-proj-0123456789abcdef";
  Provider provider = quick_provider("p", "http://127.0.0.1:1");
  Caller caller({provider}, {}, {{"p", key}});
  const auto hidden = [&](std::string text, bool is_answer) {
    hide_key(Secret(key), is_answer, text);
    return text;
  };
  CHECK(hidden("Bearer " + key + ".", false) == "Bearer [key].");
  CHECK(hidden("provided: sk-proj-01234*****", false) == "provided: [key]*****");
  CHECK(hidden("keys begin with sk-proj", false) == "keys begin with sk-proj");
  // base64 of "Bearer KEY", "xBearer KEY" and "xxBearer KEY"
  for (const char* dump : {"QmVhcmVyIHNrLXByb2otMDEyMzQ1Njc4OWFiY2RlZg==",
                           "eEJlYXJlciBzay1wcm9qLTAxMjM0NTY3ODlhYmNkZWY=",
                           "eHhCZWFyZXIgc2stcHJvai0wMTIzNDU2Nzg5YWJjZGVm"}) {
    CHECK(hidden(dump, false).find("[key]") != std::string::npos);
  }
  // In an answer only what can be nothing else.
  CHECK(hidden("keys begin with sk-proj-0", true) == "keys begin with sk-proj-0");
  CHECK(hidden("x" + key + key, true) == "x[key][key]");

  const std::string odd = "sk+proj/0123456789==";
  const auto hidden_in_json = [&](std::string json) {
    hide_key_in_json(Secret(odd), json);
    return json;
  };
  CHECK(hidden_in_json(R"({"a":"\n","b":"x sk\u002Bproj\/0123456789=\u003d y\t","c":"\\"})") ==
        R"({"a":"\n","b":"x [key] y\t","c":"\\"})");
  CHECK(hidden_in_json(R"({"b":"sk\u002bproj\/0123456789=\u003D\u0073k+proj/0123456789=="})") ==
        R"({"b":"[key][key]"})");
  CHECK(hidden_in_json(R"({"b":"\u00e9\"sk+proj"})") == R"({"b":"\u00e9\"sk+proj"})");
}
