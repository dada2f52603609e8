// The simulator's limits and faults over real sockets, each as libcurl meets it.

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

TEST_CASE("simulate: above the rate comes 429 with the headers of the real ones") {
  SimulatorOptions options;
  options.requests_per_minute = 30;
  options.burst = 3;
  const Running provider(options);
  for (int i = 2; i >= 0; --i) {
    const Heard granted = provider.ask("m", "x");
    CHECK(granted.status == 200);
    CHECK(granted.headers.at("x-ratelimit-remaining-requests") == std::to_string(i));
  }

  const Heard refused = provider.ask("m", "x");

  CHECK(refused.status == 429);
  CHECK(refused.headers.at("retry-after") == "2");
  const long wait_ms = std::stol(refused.headers.at("retry-after-ms"));
  CHECK((wait_ms > 1000 && wait_ms <= 2000));
  CHECK(refused.headers.at("x-ratelimit-limit-requests") == "30");
  CHECK(refused.headers.at("x-ratelimit-remaining-requests") == "0");
  CHECK(refused.headers.at("x-ratelimit-reset-requests").back() == 's');
  CHECK(refused.parsed().at("error").at("code") == "rate_limit_exceeded");
  CHECK(refused.parsed().at("error").at("type") == "requests");
  // A name with a rate of its own has a bucket of its own.
  CHECK(provider.ask("m+rate=60", "x").status == 200);
  CHECK(provider.ask("m+rate=60", "x").status == 429);
}

TEST_CASE("simulate: above its requests in flight comes 429 without any header") {
  SimulatorOptions options;
  options.max_in_flight = 2;
  const Running provider(options);
  std::vector<std::string> bodies;
  for (int i = 0; i < 3; ++i) bodies.push_back(chat("m+latency=100ms", std::to_string(i)));

  std::multiset<long> statuses;
  for (const Heard& heard : provider.send_together(bodies)) {
    statuses.insert(heard.status);
    CHECK(heard.headers.count("retry-after") == 0);
  }

  CHECK(statuses == std::multiset<long>{200, 200, 429});
  CHECK(provider.ask("m", "now there is room").status == 200);
}

TEST_CASE("simulate: a client that hangs up is no longer in flight") {
  const Running provider;
  CHECK(provider.send(chat("m+stall", "x"), 50).code == CURLE_OPERATION_TIMEDOUT);
  CHECK(provider.ask("m+in-flight=1", "x").status == 429);
  const auto start = std::chrono::steady_clock::now();
  while (provider.ask("m+in-flight=1", "x").status != 200) {
    REQUIRE(std::chrono::steady_clock::now() - start < 2s);
  }
}

TEST_CASE("simulate: status errors carry their provider's body") {
  const Running provider;
  for (const long status : {400, 401, 402, 404, 408, 429, 500, 502, 503, 529}) {
    const Heard heard = provider.ask("m+" + std::to_string(status), "x");
    CHECK(heard.status == status);
    CHECK(heard.parsed().at("error").is_object());
    CHECK_FALSE(heard.headers.at("x-request-id").empty());
  }
  CHECK(provider.ask("m+402", "x").parsed().at("error").at("message") == "Insufficient Balance");
  CHECK(provider.ask("m+429+retry-after=40ms", "x").headers.at("retry-after-ms") == "40");
  CHECK(provider.ask("m+insufficient_quota", "x").parsed().at("error").at("code") ==
        "insufficient_quota");
  CHECK(provider.ask("m+504", "x").body.starts_with("<html>"));
  const Heard page = provider.ask("m+html", "x");
  CHECK(page.status == 502);
  CHECK(page.headers.at("content-type") == "text/html");
  const Heard moved = provider.ask("m+redirect", "x");
  CHECK(moved.status == 307);
  CHECK(moved.headers.at("location").starts_with("http://localhost:"));
  CHECK(moved.headers.at("location").ends_with("/elsewhere"));
}

TEST_CASE("simulate: a 200 that is no success, in each of its forms") {
  const Running provider;
  CHECK(provider.ask("m+error200", "x").parsed().at("error").at("code") == 502);
  CHECK(provider.ask("m+no_choices", "x").parsed().at("choices").empty());
  CHECK_FALSE(json::accept(provider.ask("m+bad_json", "x").body));
  CHECK_FALSE(provider.ask("m+no_usage", "x").parsed().contains("usage"));
  const Heard empty = provider.ask("m+empty", "x");
  CHECK(empty.status == 200);
  CHECK(empty.body.find_first_not_of('\n') == std::string::npos);
  const auto choice = [&](const char* model) {
    return provider.ask(model, "x").parsed().at("choices").at(0);
  };
  CHECK(choice("m+no_content").at("message").at("content").is_null());
  CHECK(choice("m+no_content").at("finish_reason") == "stop");
  CHECK(choice("m+length").at("finish_reason") == "length");
  CHECK(choice("m+content_filter").at("finish_reason") == "content_filter");
}

TEST_CASE("simulate: connections that break, as the client meets them") {
  const Running provider;
  const Heard reset = provider.ask("m+reset", "x");
  CHECK(reset.code == CURLE_RECV_ERROR);  // and not CURLE_GOT_NOTHING, an orderly close
  CHECK(reset.headers.empty());

  const Heard cut = provider.ask("m+cut", "x");
  CHECK(cut.code == CURLE_PARTIAL_FILE);
  CHECK(cut.body.size() == std::stoul(cut.headers.at("content-length")) / 2);

  const Heard stalled = provider.send(chat("m+stall", "x"), 150);
  CHECK(stalled.code == CURLE_OPERATION_TIMEDOUT);
  CHECK(stalled.status == 200);
  CHECK(stalled.body.size() == 16);

  const Heard blank = provider.send(chat("m+blank", "x"), 300);
  CHECK(blank.code == CURLE_OPERATION_TIMEDOUT);
  CHECK(blank.status == 200);
  CHECK(blank.body.size() >= 3);
  CHECK(blank.body.find_first_not_of('\n') == std::string::npos);

  Call endless(provider.url(), chat("m+oversize", "x"), 5000, {});
  endless.heard.most_bytes = 5'000'000;
  endless.perform();
  CHECK(endless.heard.code == CURLE_WRITE_ERROR);
  CHECK(endless.heard.body.starts_with("{\"id\":"));

  CHECK(provider.ask("m", "and it still answers").status == 200);
}

TEST_CASE("simulate: a trickle is the real reply, a byte at a time") {
  const Running provider;
  CHECK(provider.ask("m+trickle+interval=100us", "x").content() ==
        simulated_answer("Sum up.", "x"));
  const Heard early = provider.send(chat("m+trickle+interval=10ms", "x"), 150);
  CHECK(early.code == CURLE_OPERATION_TIMEDOUT);
  CHECK(early.body.size() >= 3);
  CHECK(early.body.size() <= 16);
}

TEST_CASE("simulate: blank lines while it thinks, then the answer") {
  const Running provider;
  const Heard heard = provider.ask("m+blank_then_answer+latency=120ms", "x");
  CHECK(heard.body.starts_with("\n\n\n\n\n"));  // two while waiting, three before the answer
  CHECK(heard.content() == simulated_answer("Sum up.", "x"));
}

TEST_CASE("simulate: fail-first counts by document") {
  const Running provider;
  const auto statuses = [&](const std::string& user) {
    std::vector<long> all;
    for (int i = 0; i < 4; ++i) all.push_back(provider.ask("m+fail-first=2", user).status);
    return all;
  };
  const std::vector<long> expected{500, 500, 200, 200};
  CHECK(statuses("one") == expected);
  CHECK(statuses("two") == expected);
}

TEST_CASE("simulate: a stream tells the same answer in events") {
  const Running provider;
  const json asked{{"stream", true}, {"stream_options", {{"include_usage", true}}}};

  const Heard heard = provider.ask("m+latency=120ms", "Bears", asked);

  CHECK(heard.headers.at("content-type") == "text/event-stream");
  std::string content;
  std::string finish_reason;
  json usage;
  int comments = 0;
  bool done = false;
  std::size_t at = 0;
  for (std::size_t end; (end = heard.body.find("\n\n", at)) != std::string::npos; at = end + 2) {
    const std::string event = heard.body.substr(at, end - at);
    if (event.front() == ':') {
      ++comments;
      continue;
    }
    REQUIRE(event.starts_with("data: "));
    CHECK_FALSE(done);
    if (event == "data: [DONE]") {
      done = true;
      continue;
    }
    const json chunk = json::parse(event.substr(6));
    CHECK(chunk.at("object") == "chat.completion.chunk");
    if (!chunk.at("usage").is_null()) usage = chunk.at("usage");
    if (chunk.at("choices").empty()) continue;
    const json& choice = chunk.at("choices").at(0);
    content += choice.at("delta").value("content", "");
    if (!choice.at("finish_reason").is_null()) {
      finish_reason = choice.at("finish_reason").get<std::string>();
    }
  }
  CHECK(at == heard.body.size());
  CHECK(done);
  CHECK(comments >= 3);
  CHECK(finish_reason == "stop");
  CHECK(content == simulated_answer("Sum up.", "Bears"));
  CHECK(usage.at("completion_tokens") ==
        docmill::simulated_usage("Sum up.", "Bears", content).completion_tokens);
}

TEST_CASE("simulate: faults of a stream") {
  const Running provider;
  const auto stream = [&](const char* model, long timeout_ms = 5000) {
    return provider.send(chat(model, "x", {{"stream", true}}), timeout_ms);
  };
  const Heard cut = stream("m+cut");
  CHECK((cut.code == CURLE_RECV_ERROR || cut.code == CURLE_PARTIAL_FILE));
  CHECK(cut.body.find("[DONE]") == std::string::npos);
  const Heard blank = stream("m+blank", 200);
  CHECK(blank.code == CURLE_OPERATION_TIMEDOUT);
  CHECK(blank.body.starts_with(": keep-alive\n\n: keep-alive\n\n"));
  CHECK(blank.body.find("data:") == std::string::npos);
  CHECK(stream("m+error200").body.starts_with("data: {\"error\":"));
  CHECK(stream("m+500").status == 500);
  CHECK(stream("m+reset").code == CURLE_RECV_ERROR);
  CHECK(stream("m+stall", 100).code == CURLE_OPERATION_TIMEDOUT);
}

TEST_CASE("simulate: 200 connections at once, each with its own answer, twice over") {
  Running provider;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> bodies;
    for (int i = 0; i < 200; ++i) {
      bodies.push_back(chat("m+latency=100ms+p99=200ms", "document " + std::to_string(i)));
    }
    const std::vector<Heard> replies = provider.send_together(bodies);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      REQUIRE(replies[i].code == CURLE_OK);
      CHECK(replies[i].content() == simulated_answer("Sum up.", "document " + std::to_string(i)));
    }
  }
  CHECK(provider.stop().counters().answered == 400);
}

TEST_CASE("simulate: a connection is kept for the next request") {
  const Running provider;
  Call call(provider.url(), chat("m+latency=1ms", "x"), 5000, {});
  for (int i = 0; i < 3; ++i) {
    call.perform();
    long connects = 0;
    curl_easy_getinfo(call.easy(), CURLINFO_NUM_CONNECTS, &connects);
    CHECK(connects == (i == 0 ? 1 : 0));
  }
}

TEST_CASE("simulate: what is no chat request is told so") {
  const Running provider;
  CHECK(provider.get("/v1/models").parsed().at("data").at(0).at("id") == "deepseek-v3.2");
  CHECK(provider.get("/").status == 404);
  CHECK(provider.get("/v1/chat/completions").status == 404);
  CHECK(provider.send("{").status == 400);
  CHECK(provider.send("[]").status == 400);
  CHECK(provider.send(R"({"model":"m"})").status == 400);
  CHECK(provider.send(R"({"model":"m","messages":[]})").status == 400);
  CHECK(provider.send("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}")
            .status == 400);
  const std::string message =
      provider.ask("m+latency=fast", "x").parsed().at("error").at("message").get<std::string>();
  CHECK(message.find("fast") != std::string::npos);
  CHECK(provider.ask("m+fire", "x").body.find("'fire' is no kind") != std::string::npos);
}

TEST_CASE("simulate: a body over 80 MiB is turned away, one below is read") {
  const Running provider;
  CHECK(provider.send(std::string(std::size_t{80 << 20} + 1, ' ')).status == 413);
  const std::string large = text_of_length(5'000'000);
  CHECK(provider.ask("m", large).content() == simulated_answer("Sum up.", large));
}

TEST_CASE("simulate: stop() ends a run with requests still waiting") {
  Running provider;
  CURLcode code = CURLE_OK;
  std::thread client([&] { code = provider.send(chat("m+latency=60m", "x")).code; });
  while (provider.log().empty()) std::this_thread::yield();

  provider.stop();
  client.join();

  CHECK((code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR));
}

TEST_CASE("simulate: what cannot be had is named") {
  const Simulator first{SimulatorOptions{}};
  SimulatorOptions options;
  options.port = first.port();
  CHECK_THROWS_WITH(Simulator(options), Catch::Contains(std::to_string(first.port())));
  options.port = 0;
  options.log_path = "/nowhere/log";
  CHECK_THROWS_WITH(Simulator(options), Catch::Contains("/nowhere/log"));
  options.log_path.clear();
  options.preset = "gpt-5";
  CHECK_THROWS_WITH(Simulator(options), Catch::Contains("gpt-4.1"));
}

TEST_CASE("simulate: a log that cannot be written ends the run") {
  SimulatorOptions options;
  options.log_path = "/dev/full";
  Simulator simulator(options);
  std::string complaint;
  std::thread thread([&] {
    try {
      simulator.run();
    } catch (const std::runtime_error& error) {
      complaint = error.what();
    }
  });
  Call call("http://127.0.0.1:" + std::to_string(simulator.port()) + "/v1/chat/completions",
            chat("m", "x"), 5000, {});
  call.perform();
  thread.join();

  CHECK(call.heard.code != CURLE_OK);
  CHECK(complaint.find("No space left") != std::string::npos);
}
