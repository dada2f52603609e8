#pragma once

// Both ends of a wire, for tests of what is between them: a server that sends exactly the bytes it
// is told to, and a caller that drives the real transport until a reply is there.
//
// The server knows no more of HTTP than where a request ends. One thread, one poll(); every play
// has an end, so nothing here runs for ever.

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "worker/network_thread.h"

namespace docmill::wire_test {

// A request that the server has read to its last byte.
struct Seen {
  int connection = 0;                          // in the order of their coming, from 1
  int number = 0;                              // on that connection, from 1
  std::string line;                            // "POST /v1/chat/completions HTTP/1.1"
  std::map<std::string, std::string> headers;  // names in lower case
  std::size_t body_bytes = 0;
};

// What the server does about one request.
struct Play {
  enum class Then { keep, close, reset };

  std::string bytes;
  std::string filler = {};  // sent after the bytes, so many times
  int filler_times = 0;
  int filler_every_ms = 0;  // 0: as fast as they are taken
  Then then = Then::keep;   // after keep nothing more comes until the next request
};

class RawServer {
 public:
  // Called on the server's thread, for one request at a time.
  using Script = std::function<Play(const Seen&)>;

  explicit RawServer(Script script);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // All so far. A request is seen before the first byte of its reply leaves.
  std::vector<Seen> seen() const;
  int connections() const;

 private:
  struct Connection;

  void run();
  void accept_all();
  void receive(Connection& connection);
  void send(Connection& connection);

  Script script_;
  Fd listening_;
  std::uint16_t port_;
  Fd stop_;
  std::vector<Connection> open_;
  mutable std::mutex mutex_;  // over the two below
  std::vector<Seen> seen_;
  int connections_ = 0;
  std::thread thread_;
};

// A port of 127.0.0.1 where nobody listens.
std::uint16_t deserted_port();

// "HTTP/1.1 200 OK", the headers given, a length and the body.
std::string http_200(const std::string& body, const std::string& headers = "");

// A provider that never waits long.
Provider quick_provider(const std::string& name, const std::string& base_url);

// The real transport, on its thread, and the real clock.
class Caller {
 public:
  explicit Caller(const std::vector<Provider>& providers, CurlTransport::Options options = {},
                  const std::map<std::string, std::string>& keys = {});

  AttemptId start(const std::string& provider, std::string body = "{}");
  AttemptId start(HttpRequest request);  // its attempt is set here
  // Until its reply is there. Throws when it is not within ten seconds.
  HttpReply finish(AttemptId attempt);
  HttpReply ask(const std::string& provider, std::string body = "{}") {
    return finish(start(provider, std::move(body)));
  }

  SystemClock clock;
  Providers providers;
  NetworkThread transport;

 private:
  std::int64_t last_attempt_ = 0;
  std::map<std::int64_t, HttpReply> received_;
};

// The most memory that the process held at once, since forget_peak().
std::int64_t peak_resident_bytes();
void forget_peak();

}  // namespace docmill::wire_test
