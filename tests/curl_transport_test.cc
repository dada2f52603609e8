// The transport against the simulator: real sockets, the real clock, and timers of milliseconds.
// Which timer ends a request is told by the name of its end; the others are set seconds away.

#include "worker/curl_transport.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "simulate/answer.h"
#include "tests/catch.h"
#include "tests/raw_server.h"
#include "tests/simulate_client.h"

using namespace docmill;
using namespace docmill::wire_test;
using docmill::simulate_test::chat;
using docmill::simulate_test::Running;
using nlohmann::json;

namespace {

std::string answer_to(const std::string& text) {
  return simulated_answer("Sum up.", text);
}

std::string content_of(const HttpReply& reply) {
  const json body = json::parse(reply.body);
  return body.at("choices").at(0).at("message").at("content").get<std::string>();
}

// A simulator, one provider that leads to it, and time limits for each test to set.
struct TransportTest {
  TransportTest() : provider(quick_provider("sim", simulator.url("/v1"))) {}

  HttpReply ask(const std::string& model, std::int64_t max_reply_bytes = 1 << 20) {
    CurlTransport::Options options;
    options.max_reply_bytes = max_reply_bytes;
    return Caller({provider}, options).ask("sim", chat(model, "hello"));
  }

  Running simulator;
  Provider provider;
};

}  // namespace

TEST_CASE_METHOD(TransportTest, "transport: an answer comes back whole, with its times") {
  const HttpReply reply = ask("m+latency=40ms");

  CHECK(reply.exchange == Exchange::complete);
  CHECK(reply.detail.empty());
  CHECK(reply.status == 200);
  CHECK(reply.header("content-type") == "application/json");
  CHECK(reply.header("openai-processing-ms") == "40");
  CHECK(reply.header("no-such-header").empty());
  CHECK(content_of(reply) == answer_to("hello"));
  CHECK(reply.first_byte_ms >= 40 - 1);  // both clocks cut off fractions
  CHECK(reply.total_ms >= 40 - 1);
  CHECK(reply.received_at_ms > 1'600'000'000'000);
}

// It was counted from start() once, so that a slow connection made the provider look slow, and
// the first byte come after the last.
TEST_CASE_METHOD(TransportTest, "transport: first_byte_ms counts from the sending") {
  Caller caller({provider});
  const AttemptId attempt = caller.start("sim", chat("m", "hello"));
  const std::int64_t send_at_ms = caller.clock.now_ms() + 200;
  while (caller.clock.now_ms() < send_at_ms) {
  }

  CHECK(caller.finish(attempt).first_byte_ms < 200);
}

TEST_CASE_METHOD(TransportTest, "transport: an error is a reply like any other") {
  const HttpReply reply = ask("m+401");

  CHECK(reply.exchange == Exchange::complete);
  CHECK(reply.status == 401);
  CHECK(json::parse(reply.body).at("error").at("code") == "invalid_api_key");
}

TEST_CASE_METHOD(TransportTest, "transport: a body that stops ends at the progress timeout") {
  provider.progress_timeout_ms = 100;
  provider.first_byte_timeout_ms = 1000;

  const HttpReply reply = ask("m+stall");

  CHECK(reply.exchange == Exchange::stalled);
  CHECK(reply.status == 200);
  CHECK(reply.total_ms >= 100);
  CHECK_FALSE(reply.body.empty());
}

TEST_CASE_METHOD(TransportTest, "transport: silence ends at the first-byte timeout") {
  provider.first_byte_timeout_ms = 100;
  provider.progress_timeout_ms = 20;

  const HttpReply reply = ask("m+latency=8s");

  CHECK(reply.exchange == Exchange::first_byte_timeout);
  CHECK(reply.total_ms >= 100);
  CHECK(reply.status == 0);
  CHECK(reply.first_byte_ms == -1);
}

TEST_CASE_METHOD(TransportTest, "transport: without a first-byte timeout, at the deadline") {
  provider.deadline_ms = 150;
  provider.progress_timeout_ms = 20;

  const std::int64_t asked_us = monotonic_us();
  const HttpReply reply = ask("m+latency=8s");

  CHECK(reply.exchange == Exchange::deadline);
  // It counts from before the connection was made, total_ms from sending.
  CHECK(monotonic_us() - asked_us >= 149'000);
  CHECK(reply.total_ms >= 100);
}

TEST_CASE_METHOD(TransportTest, "transport: blank lines for ever are no payload") {
  provider.progress_timeout_ms = 20;
  SECTION("the first-byte timeout ends them") {
    provider.first_byte_timeout_ms = 150;
    const HttpReply reply = ask("m+blank");
    CHECK(reply.exchange == Exchange::first_byte_timeout);
    CHECK(reply.status == 200);
    CHECK(reply.first_byte_ms == -1);
    CHECK(reply.body.empty());
  }
  SECTION("or the deadline") {
    provider.deadline_ms = 150;
    CHECK(ask("m+blank").exchange == Exchange::deadline);
  }
}

TEST_CASE_METHOD(TransportTest, "transport: blank lines and then an answer are an answer") {
  provider.progress_timeout_ms = 60;  // shorter than the wait, which is no stall

  const HttpReply reply = ask("m+blank_then_answer+latency=150ms");

  CHECK(reply.exchange == Exchange::complete);
  CHECK(content_of(reply) == answer_to("hello"));
  CHECK(reply.first_byte_ms >= 149);
}

TEST_CASE_METHOD(TransportTest, "transport: steady bytes are progress, up to the deadline") {
  provider.progress_timeout_ms = 200;
  SECTION("a slow answer in time") {
    const HttpReply reply = ask("m+trickle+interval=500us");
    CHECK(reply.exchange == Exchange::complete);
    CHECK(reply.total_ms > provider.progress_timeout_ms);
    CHECK(content_of(reply) == answer_to("hello"));
  }
  SECTION("and one that is too slow") {
    provider.deadline_ms = 300;
    const HttpReply reply = ask("m+trickle+interval=5ms");
    CHECK(reply.exchange == Exchange::deadline);
    CHECK(reply.total_ms >= 300);
    CHECK_FALSE(reply.body.empty());
  }
}

TEST_CASE_METHOD(TransportTest, "transport: a reply without end is cut off at its limit") {
  const HttpReply reply = ask("m+oversize", 50'000);

  CHECK(reply.exchange == Exchange::oversize);
  CHECK(reply.body.size() <= 50'000);
}

TEST_CASE_METHOD(TransportTest, "transport: a reply as long as the limit is whole") {
  const auto size = static_cast<std::int64_t>(ask("m").body.size());

  CHECK(ask("m", size).exchange == Exchange::complete);
  CHECK(ask("m", size - 1).exchange == Exchange::oversize);
}

TEST_CASE_METHOD(TransportTest, "transport: a lost connection is a cut, early or late") {
  const HttpReply reset = ask("m+reset");
  CHECK(reset.exchange == Exchange::cut);
  CHECK(reset.status == 0);
  CHECK_FALSE(reset.detail.empty());

  const HttpReply cut = ask("m+cut");
  CHECK(cut.exchange == Exchange::cut);
  CHECK(cut.status == 200);
  CHECK_FALSE(json::accept(cut.body));
}

TEST_CASE("transport: where no connection comes about, nothing was sent") {
  const std::string port = std::to_string(deserted_port());
  Caller caller({quick_provider("nobody", "http://127.0.0.1:" + port),
                 quick_provider("nowhere", "http://no-such-host.invalid"),
                 quick_provider("no-tls", "https://127.0.0.1:" + port)});
  for (const char* name : {"nobody", "nowhere", "no-tls"}) {
    INFO(name);
    const HttpReply reply = caller.ask(name);
    CHECK(reply.exchange == Exchange::not_sent);
    CHECK(reply.status == 0);
    CHECK_FALSE(reply.detail.empty());
    CHECK_FALSE(caller.transport.has_connected(caller.providers.at(name)));
  }
}

TEST_CASE_METHOD(TransportTest, "transport: certificates that cannot be checked send nothing") {
  provider.base_url.replace(0, 4, "https");
  provider.ca_file = "/no/such/file.pem";
  CHECK(ask("m").exchange == Exchange::certificate);

  provider.ca_file.clear();  // and a server that does not speak TLS is no certificate's fault
  CHECK(ask("m").exchange == Exchange::not_sent);
  CHECK(simulator.stop().counters().requests == 0);
}

TEST_CASE_METHOD(TransportTest, "transport: cancel ends a request at once") {
  Caller caller({provider});
  const AttemptId slow = caller.start("sim", chat("m+latency=8s", "slow"));
  const std::int64_t give_up_at_ms = caller.clock.now_ms() + 2000;
  while (!caller.transport.has_connected(provider) && caller.clock.now_ms() < give_up_at_ms) {
    caller.transport.wait(give_up_at_ms);
  }
  const AttemptId other = caller.start("sim", chat("m+latency=50ms", "other"));

  caller.transport.cancel(slow);
  caller.transport.cancel(slow);
  caller.transport.cancel(AttemptId{99});

  CHECK(caller.finish(slow).exchange == Exchange::aborted);
  CHECK(content_of(caller.finish(other)) == answer_to("other"));
  CHECK(caller.transport.take_received().empty());
  CHECK(content_of(caller.ask("sim", chat("m", "next"))) == answer_to("next"));
}

TEST_CASE_METHOD(TransportTest, "transport: what is cancelled before it was sent was not sent") {
  Caller caller({provider});
  const AttemptId early = caller.start("sim", chat("m", "early"));
  caller.transport.cancel(early);
  // It may have been sent by then. Whichever it was, the word about it is true.
  const Exchange exchange = caller.finish(early).exchange;
  CHECK((exchange == Exchange::not_sent) == (simulator.stop().counters().requests == 0));
}

TEST_CASE_METHOD(TransportTest, "transport: a transport may end with requests in flight") {
  Caller caller({provider});
  for (int i = 0; i < 3; ++i) caller.start("sim", chat("m+latency=8s", "x"));
  caller.transport.wait(caller.clock.now_ms() + 30);
  CHECK(caller.transport.take_received().empty());
}

TEST_CASE_METHOD(TransportTest, "transport: 500 requests, each with its own answer") {
  Caller caller({provider}, {64, 1 << 20, ""});
  std::map<std::int64_t, std::string> open;
  int sent = 0;
  int answered = 0;
  const std::int64_t give_up_at_ms = caller.clock.now_ms() + 10'000;
  while (answered < 500 && caller.clock.now_ms() < give_up_at_ms) {
    while (sent < 500 && open.size() < 64) {
      const std::string text = "document " + std::to_string(++sent);
      open[caller.start("sim", chat("m+latency=5ms", text)).value] = text;
    }
    caller.transport.wait(give_up_at_ms);
    for (const Received& received : caller.transport.take_received()) {
      REQUIRE(received.reply.exchange == Exchange::complete);
      REQUIRE(content_of(received.reply) == answer_to(open.at(received.attempt.value)));
      open.erase(received.attempt.value);
      ++answered;
    }
  }
  CHECK(answered == 500);
  CHECK(simulator.stop().counters().answered == 500);
}

TEST_CASE_METHOD(TransportTest, "transport: the simulator's log names our attempts") {
  Caller caller({provider}, {64, 1 << 20, "host-7/"}, {{"sim", "sk-1"}});
  caller.ask("sim", chat("m", "one"));
  caller.ask("sim", chat("m", "two"));

  const std::vector<json> log = simulator.log();

  REQUIRE(log.size() == 2);
  CHECK(log[0].at("client_request_id") == "host-7/1");
  CHECK(log[1].at("client_request_id") == "host-7/2");
}

// It slept on when libcurl's own timer had made the connection, and while any other provider was
// not connected; all further requests then waited for the first one's reply.
TEST_CASE_METHOD(TransportTest, "transport: wait returns when the first connection is made") {
  std::vector<Provider> list{provider};
  SECTION("of the only provider") {}
  SECTION("of one of two") {
    list.push_back(quick_provider("unused", "http://127.0.0.1:1"));
  }
  Caller caller(list);
  caller.start("sim", chat("m+latency=8s", "slow"));

  const std::int64_t give_up_at_ms = caller.clock.now_ms() + 500;
  while (!caller.transport.has_connected(provider) && caller.clock.now_ms() < give_up_at_ms) {
    caller.transport.wait(give_up_at_ms);
  }

  CHECK(caller.clock.now_ms() < give_up_at_ms);
}

TEST_CASE_METHOD(TransportTest, "transport: wait returns when the outside world calls") {
  Caller caller({provider});
  const Fd calling(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  caller.transport.watch(calling.get());
  caller.ask("sim", chat("m", "the first connection"));
  const AttemptId slow = caller.start("sim", chat("m+latency=8s", "slow"));
  const std::uint64_t one = 1;
  REQUIRE(write(calling.get(), &one, sizeof one) == sizeof one);

  const std::int64_t give_up_at_ms = caller.clock.now_ms() + 500;
  caller.transport.wait(give_up_at_ms);
  CHECK(caller.clock.now_ms() < give_up_at_ms);
  CHECK(caller.transport.take_received().empty());

  std::uint64_t count = 0;  // we are called as long as nobody has read this
  REQUIRE(read(calling.get(), &count, sizeof count) == sizeof count);
  const std::int64_t quiet_until_ms = caller.clock.now_ms() + 30;
  caller.transport.wait(quiet_until_ms);
  CHECK(caller.clock.now_ms() >= quiet_until_ms);
  caller.transport.cancel(slow);
}

TEST_CASE_METHOD(TransportTest, "transport: wait returns when its time has come") {
  Caller caller({provider});
  const std::int64_t started_ms = caller.clock.now_ms();

  caller.transport.wait(started_ms - 1000);
  caller.transport.wait(0);
  CHECK(caller.clock.now_ms() < started_ms + 1000);

  caller.transport.wait(started_ms + 40);
  CHECK(caller.clock.now_ms() >= started_ms + 40);
}

namespace {

// What a server heard of one request.
Seen heard_from(Provider provider, const std::string& key, const std::string& body = "{}",
                CurlTransport::Options options = {}) {
  const RawServer server([](const Seen&) { return Play{http_200("{}")}; });
  provider.base_url = server.url() + "/v1";
  Caller caller({provider}, options, {{provider.name, key}});
  CHECK(caller.ask(provider.name, body).exchange == Exchange::complete);
  REQUIRE(server.seen().size() == 1);
  return server.seen().front();
}

}  // namespace

TEST_CASE("transport: a request says who asks and for which attempt") {
  CurlTransport::Options options;
  options.id_prefix = "store-3f/";
  const Seen seen = heard_from(quick_provider("p", ""), "sk-secret", "{\"a\":1}", options);

  CHECK(seen.line == "POST /v1/chat/completions HTTP/1.1");
  CHECK(seen.headers.at("x-client-request-id") == "store-3f/1");
  CHECK(seen.headers.at("authorization") == "Bearer sk-secret");
  CHECK(seen.headers.at("content-type") == "application/json");
  CHECK(seen.headers.at("content-length") == "7");
  CHECK(seen.headers.at("user-agent") == "docmill/" DOCMILL_VERSION);
  CHECK(seen.headers.count("x-api-key") == 0);
  CHECK(seen.headers.count("cookie") == 0);
}

TEST_CASE("transport: a large body is sent whole, without asking first") {
  const std::string body(2 << 20, 'x');
  const Seen seen = heard_from(quick_provider("p", ""), "", body);

  CHECK(seen.body_bytes == body.size());
  CHECK(seen.headers.count("expect") == 0);
  CHECK(seen.headers.count("authorization") == 0);  // no key, no header
}

TEST_CASE("transport: a body may hold any byte") {
  const std::string body("{\0\n}", 4);
  CHECK(heard_from(quick_provider("p", ""), "", body).body_bytes == 4);
}

TEST_CASE("transport: each dialect has its own place for the key") {
  Provider provider = quick_provider("p", "");
  SECTION("Anthropic") {
    provider.dialect = Dialect::anthropic;
    const Seen seen = heard_from(provider, "sk-ant");
    CHECK(seen.headers.at("x-api-key") == "sk-ant");
    CHECK(seen.headers.at("anthropic-version") == "2023-06-01");
    CHECK(seen.headers.count("authorization") == 0);
  }
  SECTION("Azure") {
    provider.auth = Auth::api_key;
    const Seen seen = heard_from(provider, "az-key");
    CHECK(seen.headers.at("api-key") == "az-key");
    CHECK(seen.headers.count("authorization") == 0);
  }
}

TEST_CASE("transport: a provider's own headers and query go along, escaped") {
  Provider provider = quick_provider("p", "");
  provider.headers = {{"X-Title", "mill & co"}};
  provider.query = {{"api-version", "2024-10-21"}, {"note", "a b&c=d#e/\xc3\xa9?"}};

  const Seen seen = heard_from(provider, "k");

  CHECK(seen.headers.at("x-title") == "mill & co");
  CHECK(seen.line ==
        "POST /v1/chat/completions?api-version=2024-10-21&note=a%20b%26c%3Dd%23e%2F%C3%A9%3F "
        "HTTP/1.1");
}

TEST_CASE("transport: a key goes to its own provider alone") {
  const auto answer = [](const Seen&) { return Play{http_200("{}")}; };
  const RawServer first(answer);
  const RawServer second(answer);
  Provider with_own_header = quick_provider("second", second.url());
  with_own_header.dialect = Dialect::anthropic;
  Caller caller({quick_provider("first", first.url()), with_own_header}, {},
                {{"first", "sk-first"}, {"second", "sk-second"}});
  for (int i = 0; i < 3; ++i) {  // handles go from one provider to the other
    caller.ask("first");
    caller.ask("second");
  }
  for (const Seen& seen : first.seen()) {
    CHECK(seen.headers.at("authorization") == "Bearer sk-first");
    CHECK(seen.headers.count("x-api-key") == 0);
  }
  for (const Seen& seen : second.seen()) {
    CHECK(seen.headers.at("x-api-key") == "sk-second");
    CHECK(seen.headers.count("authorization") == 0);
  }
  CHECK(first.seen().size() + second.seen().size() == 6);
}

TEST_CASE("transport: a key that a provider repeats goes no further") {
  const std::string key = "sk-live-0123456789abcdef";
  const std::string body = R"({"error":"Invalid token: )" + key + " or " + key + R"("})";
  const RawServer server([&](const Seen&) {
    return Play{"HTTP/1.1 401 Unauthorized\r\nX-Your-Key: Bearer " + key +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body};
  });
  Caller caller({quick_provider("p", server.url())}, {}, {{"p", key}});

  const HttpReply reply = caller.ask("p");

  CHECK(reply.body == R"({"error":"Invalid token: [key] or [key]"})");
  CHECK(reply.header("x-your-key") == "Bearer [key]");
}

// What local servers are given for a key may stand in any document, and an answer is not altered.
TEST_CASE("transport: a word that only serves as a key stays in an answer") {
  const std::string body = R"({"content":"LM Studio listens; lm-studio and no-key-required."})";
  const RawServer server([&](const Seen&) { return Play{http_200(body)}; });
  Caller caller({quick_provider("a", server.url()), quick_provider("b", server.url())}, {},
                {{"a", "lm-studio"}, {"b", "no-key-required"}});
  CHECK(caller.ask("a").body == body);
  CHECK(caller.ask("b").body == body);
}

// Each one that was cut out moved all that followed: a reply of nothing else took minutes.
TEST_CASE("transport: a reply full of keys takes no longer than another") {
  const std::string key = "sk-live-0123456789abcdef";
  std::string body;
  for (int i = 0; i < 400'000; ++i) body += key;
  const RawServer server([&](const Seen&) { return Play{http_200(body)}; });
  Caller caller({quick_provider("p", server.url())}, {}, {{"p", key}});
  const std::int64_t started_ms = caller.clock.now_ms();

  const HttpReply reply = caller.ask("p");

  CHECK(reply.exchange == Exchange::complete);
  CHECK(reply.body.size() == 400'000 * std::string("[key]").size());
  CHECK(caller.clock.now_ms() - started_ms < 5000);
}
