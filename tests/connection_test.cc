// What libcurl and a server may do to each other over one connection, byte by byte. The rule that
// matters most: a POST that may have been paid for is never sent twice for one attempt.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/raw_server.h"

using namespace docmill;
using namespace docmill::wire_test;
using Then = Play::Then;

namespace {

// How often the server has read a whole request of this attempt.
std::ptrdiff_t times_seen(const RawServer& server, AttemptId attempt) {
  const std::vector<Seen> seen = server.seen();
  return std::count_if(seen.begin(), seen.end(), [&](const Seen& request) {
    return request.headers.at("x-client-request-id") == std::to_string(attempt.value);
  });
}

HttpReply ask_once(const Play& play, Provider provider, std::int64_t max_reply_bytes = 1 << 20) {
  RawServer server([&](const Seen&) { return play; });
  provider.base_url = server.url();
  CurlTransport::Options options;
  options.max_reply_bytes = max_reply_bytes;
  Caller caller({provider}, options);
  return caller.ask(provider.name);
}

HttpReply ask_once(const Play& play, std::int64_t max_reply_bytes = 1 << 20) {
  return ask_once(play, quick_provider("p", ""), max_reply_bytes);
}

std::string chunk(const std::string& bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}

const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";

// gzip, written by hand: one block of fixed Huffman codes, a zero and then "258 times what stood
// one byte before", 13 bits each. Eight of these are 13 bytes.
std::string gzip_of_zeros(std::size_t bytes) {
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  unsigned pending = 0;
  int bits = 0;
  const auto put = [&](unsigned value, int count) {
    for (int i = count - 1; i >= 0; --i) {
      pending |= (value >> i & 1U) << bits;
      if (++bits < 8) continue;
      out.push_back(static_cast<char>(pending));
      pending = 0;
      bits = 0;
    }
  };
  put(0b110, 3);        // the last block, fixed codes
  put(0b0011'0000, 8);  // a literal 0
  for (std::size_t i = 0; i < bytes / 258; ++i) put(0b1100'0101'00000, 13);
  put(0, 7);  // end of block
  put(0, 7);  // up to a whole byte; checksum and length do not follow
  return out;
}

}  // namespace

// libcurl sends a POST again by itself, up to five times, when a connection that it has used
// before dies without a byte of reply, and then reports one success: the provider is paid twice.
TEST_CASE("connection: a POST is not sent again when a used connection dies under it") {
  Then end = Then::close;
  SECTION("by an orderly end") {}
  SECTION("by a reset") {
    end = Then::reset;
  }
  RawServer server([=](const Seen& seen) {
    return seen.connection == 1 && seen.number == 2 ? Play{.bytes = "", .then = end}
                                                    : Play{http_200("{}")};
  });
  Caller caller({quick_provider("p", server.url())});
  REQUIRE(caller.ask("p").exchange == Exchange::complete);

  const AttemptId attempt = caller.start("p");
  const HttpReply reply = caller.finish(attempt);

  CHECK(reply.exchange == Exchange::resend_stopped);
  CHECK(reply.status == 0);
  CHECK(times_seen(server, attempt) == 1);
  const std::vector<Seen> seen = server.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].connection == 1);  // else this test proves nothing
  CHECK(seen[1].number == 2);
  CHECK(caller.ask("p").exchange == Exchange::complete);
}

TEST_CASE("connection: nor when a new connection dies under it") {
  RawServer server([](const Seen& seen) {
    return seen.connection == 1 ? Play{.bytes = "", .then = Then::close} : Play{http_200("{}")};
  });
  Caller caller({quick_provider("p", server.url())});

  const AttemptId attempt = caller.start("p");

  CHECK(caller.finish(attempt).exchange == Exchange::cut);
  CHECK(times_seen(server, attempt) == 1);
}

TEST_CASE("connection: of many requests on dying connections none is sent twice") {
  // The third request on each connection goes unanswered.
  RawServer server([](const Seen& seen) {
    return seen.number == 3 ? Play{.bytes = "", .then = Then::close} : Play{http_200("{}")};
  });
  Caller caller({quick_provider("p", server.url())});
  REQUIRE(caller.ask("p").exchange == Exchange::complete);

  std::vector<AttemptId> attempts;
  int stopped = 0;
  for (int round = 0; round < 8; ++round) {
    std::vector<AttemptId> together;
    for (int i = 0; i < 8; ++i) together.push_back(caller.start("p"));
    for (const AttemptId attempt : together) {
      const Exchange exchange = caller.finish(attempt).exchange;
      CHECK((exchange == Exchange::complete || exchange == Exchange::resend_stopped));
      if (exchange == Exchange::resend_stopped) ++stopped;
      attempts.push_back(attempt);
    }
  }

  CHECK(stopped > 0);
  for (const AttemptId attempt : attempts) CHECK(times_seen(server, attempt) == 1);
}

TEST_CASE("connection: the tenth dying connection of a handle is told as the first was") {
  RawServer server([](const Seen& seen) {
    return seen.number == 2 ? Play{.bytes = "", .then = Then::close} : Play{http_200("{}")};
  });
  Caller caller({quick_provider("p", server.url())});
  for (int i = 0; i < 10; ++i) {
    CHECK(caller.ask("p").exchange == Exchange::complete);
    CHECK(caller.ask("p").exchange == Exchange::resend_stopped);
  }
}

TEST_CASE("connection: a server that closes idle connections costs no request twice") {
  RawServer server([](const Seen&) { return Play{.bytes = http_200("{}"), .then = Then::close}; });
  Caller caller({quick_provider("p", server.url())});

  for (int i = 0; i < 50; ++i) {
    const AttemptId attempt = caller.start("p");
    const HttpReply reply = caller.finish(attempt);
    const Exchange exchange = reply.exchange;
    INFO("exchange " << static_cast<int>(exchange) << ": " << reply.detail);
    CHECK((exchange == Exchange::complete || exchange == Exchange::resend_stopped));
    // A request on a connection that was closed already was not read by anybody.
    CHECK(times_seen(server, attempt) == (exchange == Exchange::complete ? 1 : 0));
  }
}

TEST_CASE("connection: connections are kept and used again") {
  RawServer server([](const Seen&) { return Play{http_200("{}")}; });
  CurlTransport::Options options;
  options.in_flight = 64;
  Caller caller({quick_provider("p", server.url())}, options);

  REQUIRE(caller.ask("p").exchange == Exchange::complete);
  for (int round = 0; round < 8; ++round) {
    std::vector<AttemptId> together;
    for (int i = 0; i < 64; ++i) together.push_back(caller.start("p"));
    for (const AttemptId attempt : together) {
      REQUIRE(caller.finish(attempt).exchange == Exchange::complete);
    }
  }

  CHECK(server.seen().size() == 513);
  CHECK(server.connections() <= 64);
}

TEST_CASE("connection: headers beyond 64 KiB end the exchange") {
  SECTION("in many lines") {
    std::string lines;
    for (int i = 0; i < 80; ++i) {
      lines += "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n";
    }
    CHECK(ask_once({http_200("{}", lines)}).exchange == Exchange::oversize);
  }
  SECTION("in one") {
    const std::string line = "X-Long: " + std::string(80'000, 'x') + "\r\n";
    CHECK(ask_once({http_200("{}", line)}).exchange == Exchange::oversize);
  }
  SECTION("and those below do not") {
    const std::string line = "X-Long: " + std::string(60'000, 'x') + "\r\n";
    const HttpReply reply = ask_once({http_200("{}", line)});
    CHECK(reply.exchange == Exchange::complete);
    CHECK(reply.header("x-long").size() == 60'000);
  }
}

// libcurl holds one line up to 100 KB by itself and then gives up with "out of memory".
TEST_CASE("connection: one header line without end is too long, not a lost connection") {
  const Play play{.bytes = "HTTP/1.1 200 OK\r\nX-Endless: ",
                  .filler = std::string(10'000, 'x'),
                  .filler_times = 50};
  CHECK(ask_once(play).exchange == Exchange::oversize);
}

TEST_CASE("connection: a body shorter than its Content-Length is cut") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
  const HttpReply reply = ask_once({.bytes = head + R"({"half":)", .then = Then::close});

  CHECK(reply.exchange == Exchange::cut);
  CHECK(reply.status == 200);
  CHECK(reply.body == R"({"half":)");
}

TEST_CASE("connection: what follows a body is not taken for the next reply") {
  const std::string excess = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
  RawServer server([&](const Seen& seen) {
    return Play{http_200("right") + (seen.connection == 1 ? excess : "")};
  });
  Caller caller({quick_provider("p", server.url())});

  CHECK(caller.ask("p").body == "right");
  CHECK(caller.ask("p").body == "right");
}

TEST_CASE("connection: chunks without the last one are cut") {
  const std::string bytes = kChunked + "\r\n" + chunk(R"({"half":)");
  CHECK(ask_once({.bytes = bytes, .then = Then::close}).exchange == Exchange::cut);
  CHECK(ask_once({.bytes = bytes, .then = Then::reset}).exchange == Exchange::cut);
  CHECK(ask_once({bytes + "0\r\n\r\n"}).exchange == Exchange::complete);
  CHECK(ask_once({.bytes = bytes + "what?\r\n", .then = Then::close}).exchange == Exchange::cut);
}

TEST_CASE("connection: compressed replies are read, and bombs are not") {
  const std::string gzip = kChunked + "Content-Encoding: gzip\r\n\r\n";
  SECTION("small") {
    // What gzip -n makes of {"zipped":true}.
    const std::string zipped(
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xaa\xca\x2c\x28\x48\x4d\x51\xb2"
        "\x2a\x29\x2a\x4d\xad\x05\x00\x84\x28\xbc\x08\x0f\x00\x00\x00",
        35);
    const HttpReply reply = ask_once({gzip + chunk(zipped) + "0\r\n\r\n"});
    CHECK(reply.exchange == Exchange::complete);
    CHECK(reply.body == R"({"zipped":true})");
  }
  SECTION("50 MB") {
    const std::string bomb = gzip + chunk(gzip_of_zeros(50'000'000)) + "0\r\n\r\n";
    forget_peak();
    const std::int64_t before_bytes = peak_resident_bytes();
    const HttpReply reply = ask_once({bomb}, 1 << 20);
    CHECK(reply.exchange == Exchange::oversize);
    CHECK(reply.body.size() <= 1 << 20);
    CHECK(peak_resident_bytes() - before_bytes < 16 << 20);
  }
  SECTION("not gzip at all") {
    const HttpReply reply = ask_once({gzip + chunk("plain words") + "0\r\n\r\n"});
    CHECK(reply.exchange == Exchange::bad_encoding);
  }
}

TEST_CASE("connection: a flood of blank lines takes no memory and is no payload") {
  Provider provider = quick_provider("p", "");
  provider.first_byte_timeout_ms = 300;
  const Play flood{
      .bytes = kChunked + "\r\n", .filler = chunk(std::string(8000, '\n')), .filler_times = 8000};
  forget_peak();
  const std::int64_t before_bytes = peak_resident_bytes();

  const HttpReply reply = ask_once(flood, provider, 1 << 20);

  CHECK(reply.exchange == Exchange::oversize);  // 64 MB, at a limit of 1
  CHECK(reply.body.empty());
  CHECK(peak_resident_bytes() - before_bytes < 16 << 20);
}

TEST_CASE("connection: headers without a body are not yet a first byte") {
  Provider provider = quick_provider("p", "");
  provider.first_byte_timeout_ms = 100;
  const HttpReply reply = ask_once({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"}, provider);

  CHECK(reply.exchange == Exchange::first_byte_timeout);
  CHECK(reply.status == 200);
}

TEST_CASE("connection: blank lines after the payload has begun are no progress") {
  Provider provider = quick_provider("p", "");
  provider.progress_timeout_ms = 100;
  const Play play{.bytes = kChunked + "\r\n" + chunk(R"({"half":)"),
                  .filler = chunk("\n"),
                  .filler_times = 1000,
                  .filler_every_ms = 5};

  const HttpReply reply = ask_once(play, provider);

  CHECK(reply.exchange == Exchange::stalled);
  CHECK(reply.total_ms >= 100);
}

TEST_CASE("connection: white space within the payload is kept") {
  const std::string bytes = kChunked + "\r\n" + chunk("\n \n") + chunk("\n{\"a b\":") +
                            chunk("  ") + chunk("\"c\"}") + "0\r\n\r\n";
  const HttpReply reply = ask_once({bytes});

  REQUIRE(reply.exchange == Exchange::complete);
  CHECK(reply.body == "\n{\"a b\":  \"c\"}");
}

TEST_CASE("connection: one that is not made in time has sent nothing") {
  // TLS is a part of connecting, and this server says nothing to it.
  const RawServer server([](const Seen&) { return Play{""}; });
  Provider provider = quick_provider("p", "https" + server.url().substr(4));
  provider.connect_timeout_ms = 100;
  SECTION("before its own timeout") {}
  SECTION("before the deadline") {
    provider.connect_timeout_ms = 5000;
    provider.deadline_ms = 100;
  }
  provider.first_byte_timeout_ms = 20;  // which only begins with the sending
  Caller caller({provider});

  const HttpReply reply = caller.ask("p");

  CHECK(reply.exchange == Exchange::not_sent);
  CHECK(reply.total_ms >= 100);
}

TEST_CASE("connection: replies of other kinds") {
  SECTION("HTTP/1.0, without a length, ends with the connection") {
    const Play play{.bytes = "HTTP/1.0 200 OK\r\n\r\n{\"whole\":1}", .then = Then::close};
    const HttpReply reply = ask_once(play);
    CHECK(reply.exchange == Exchange::complete);
    CHECK(reply.body == "{\"whole\":1}");
  }
  SECTION("1xx before the 200, whose headers are not the reply's") {
    const std::string before =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    const HttpReply reply = ask_once({before + http_200("{}", "X-Request-Id: r\r\n")});
    CHECK(reply.exchange == Exchange::complete);
    CHECK(reply.status == 200);
    CHECK(reply.header("link").empty());
    CHECK(reply.header("x-request-id") == "r");
  }
  SECTION("a 204 without a body") {
    const HttpReply reply = ask_once({"HTTP/1.1 204 No Content\r\n\r\n"});
    CHECK(reply.exchange == Exchange::complete);
    CHECK(reply.status == 204);
  }
  SECTION("no HTTP at all") {
    const HttpReply reply = ask_once({.bytes = "SSH-2.0-OpenSSH_9.2\r\n", .then = Then::close});
    CHECK(reply.exchange == Exchange::cut);
    CHECK(reply.status == 0);
  }
}

TEST_CASE("connection: a redirect is a reply, and the other host hears nothing") {
  const RawServer elsewhere([](const Seen&) { return Play{http_200("{}")}; });
  const RawServer server([&](const Seen&) {
    return Play{"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + elsewhere.url() +
                "/v1\r\nContent-Length: 0\r\n\r\n"};
  });
  Provider provider = quick_provider("p", server.url());
  provider.dialect = Dialect::anthropic;  // libcurl would take an x-api-key along
  Caller caller({provider}, {}, {{"p", "sk-secret"}});

  const HttpReply reply = caller.ask("p");

  CHECK(reply.exchange == Exchange::complete);
  CHECK(reply.status == 307);
  CHECK(reply.header("location") == elsewhere.url() + "/v1");
  CHECK(elsewhere.connections() == 0);
}
