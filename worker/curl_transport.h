#pragma once

// The network through libcurl's multi_socket interface and one epoll set.
//
// What libcurl does by itself is watched: on a reused connection that dies before a reply byte it
// would send the POST again, up to five times, and report one success. Every send is announced to
// PREREQFUNCTION, and a second one for the same attempt is stopped there.
//
// Five timers end a request: connect, first payload byte, payload progress, the chain's
// max_latency, deadline. White space before the JSON begins, chunks of nothing else, and comments
// and pings of a stream are keep-alives and no payload.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "worker/keys.h"
#include "worker/transport.h"

namespace docmill {

struct CurlMulti;
struct Endpoint;

class CurlTransport : public Transport {
 public:
  struct Options {
    int in_flight = 64;  // the size of the connection cache follows from it
    std::int64_t max_reply_bytes = 16 << 20;
    std::string id_prefix;  // x-client-request-id is this and the attempt's id
    // Told of the job whose reply is about to be read, and of job 0 when it has been: if the
    // process dies in between, its bytes may be why.
    std::function<void(JobId)> blame = [](JobId) {};
    // Of all replies under way. Beyond it those over 256 KiB end as too long.
    std::int64_t max_replies_bytes = 16 << 20;
  };

  // `clock` and `providers` must outlive it; the keys go into each provider's own headers, and from
  // there to its base_url alone.
  CurlTransport(const Clock& clock, const Providers& providers,
                const std::map<std::string, Key>& keys, Options options);
  ~CurlTransport() override;

  // Other providers and keys, for what starts from now on; what flies ends as it began. Those from
  // before may go once nothing of theirs flies.
  void use(const Providers& providers, const std::map<std::string, Key>& keys, int in_flight,
           std::int64_t max_reply_bytes);
  // wait() also returns when this descriptor can be read. The caller reads it.
  void watch(int fd);

  bool has_connected(const Provider& provider) const override;
  void start(HttpRequest request) override;
  void cancel(AttemptId attempt) override;
  std::vector<Received> take_received() override;
  // The base_urls that were connected to for the first time since the last call.
  std::vector<std::string> take_connected();
  void wait(std::int64_t until_ms) override;

 private:
  struct Transfer;

  Transfer& idle_transfer();
  void apply(Transfer& transfer);
  void prepare(Transfer& transfer);
  void drive(int fd, unsigned events);
  void collect();
  void end(Transfer& transfer, Exchange exchange, std::string detail);
  void end_silent();
  void drop_retired();

  const Clock& clock_;
  Options options_;
  std::map<std::string, std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Endpoint>> retired_;  // requests to them fly
  std::unique_ptr<CurlMulti> multi_;
  std::vector<std::unique_ptr<Transfer>> transfers_;  // also the idle ones, with their handles
  std::vector<Transfer*> idle_;
  std::map<std::int64_t, Transfer*> flying_;  // by attempt
  std::vector<Received> received_;
  std::int64_t held_bytes_ = 0;  // of the replies under way
  std::vector<std::string> connected_;
  std::int64_t next_silence_check_ms_ = 0;  // no request falls silent before this
};

}  // namespace docmill
