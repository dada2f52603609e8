// The network on its own thread: what crosses the boundary beside requests and replies.

#include "tests/catch.h"
#include "tests/raw_server.h"

using namespace docmill;
using namespace docmill::wire_test;

TEST_CASE("network: other providers and keys hold for what starts from then on") {
  std::string keys_seen;
  RawServer server([&](const Seen& request) -> Play {
    keys_seen += request.headers.at("authorization") + ";";
    return {http_200("{}")};
  });
  Caller caller({quick_provider("p", server.url())}, {}, {{"p", "first"}});
  caller.ask("p");
  {
    std::map<std::string, Key> keys;
    keys.emplace("p", Key{Secret("second"), ""});
    caller.transport.use(caller.providers, keys, 64, 1 << 20);
  }
  caller.ask("p");
  CHECK(keys_seen == "Bearer first;Bearer second;");
}

TEST_CASE("network: what flies ends as it began, under a config that is gone") {
  const std::string begun = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{}";
  RawServer server([&](const Seen&) -> Play { return {begun, " ", 10, 20}; });
  Caller caller({quick_provider("p", server.url())});
  const AttemptId slow = caller.start("p");
  while (server.seen().empty()) caller.transport.wait(caller.clock.now_ms() + 10);
  const Providers none;
  caller.transport.use(none, {}, 64, 1 << 20);
  CHECK(caller.finish(slow).exchange == Exchange::complete);
  caller.transport.use(caller.providers, {}, 64, 1 << 20);
  CHECK(caller.ask("p").exchange == Exchange::complete);
}

TEST_CASE("network: a handle that was used before takes the options of the new config") {
  RawServer server([&](const Seen&) -> Play { return {"", http_200("{}"), 1, 300}; });
  Caller caller({quick_provider("p", server.url())});
  for (int i = 0; i < 6; ++i) {  // what is freed and made again may have the same address
    Providers providers = caller.providers;
    providers.at("p").deadline_ms = i % 2 == 0 ? 5000 : 100;
    caller.transport.use(providers, {}, 64, 1 << 20);
    const HttpReply reply = caller.finish(caller.start("p"));
    CHECK(reply.exchange == (i % 2 == 0 ? Exchange::complete : Exchange::deadline));
    caller.transport.use(caller.providers, {}, 64, 1 << 20);
  }
}

TEST_CASE("network: a job is to blame only while its reply is read") {
  RawServer server([](const Seen&) -> Play { return {http_200("{}")}; });
  std::vector<std::int64_t> blamed;
  CurlTransport::Options options;
  options.blame = [&](JobId job) { blamed.push_back(job.value); };
  Caller caller({quick_provider("p", server.url())}, options);
  HttpRequest request;
  request.provider = &caller.providers.at("p");
  request.job = {7};
  caller.finish(caller.start(std::move(request)));
  CHECK(blamed == std::vector<std::int64_t>{7, 0});
}

TEST_CASE("network: what is thrown on its thread is thrown on the worker's") {
  Caller caller({quick_provider("p", "http://127.0.0.1:1")});
  Provider unknown = quick_provider("q", "http://127.0.0.1:1");
  HttpRequest request;
  request.attempt = {1};
  request.provider = &unknown;
  caller.transport.start(std::move(request));
  const auto wait_for_it = [&] {
    const std::int64_t give_up_ms = caller.clock.now_ms() + 5000;
    while (caller.clock.now_ms() < give_up_ms) caller.transport.wait(give_up_ms);
  };
  CHECK_THROWS_AS(wait_for_it(), std::out_of_range);
  CHECK_THROWS_AS(caller.transport.take_received(), std::out_of_range);
  caller.transport.use(caller.providers, {}, 64, 1 << 20);  // and nobody waits for it any more
}
