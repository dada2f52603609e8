#pragma once

// libcurl on a thread of its own: requests go out, and replies come in and are decoded, while the
// worker settles and waits for the disk. Two queues of values are between the threads:
//
//   worker  ── start, cancel, use ──────────────────▶  network
//   worker  ◀── replies, names that are known now ───  network
//
// The network's thread touches nothing of the worker's but what Options::blame does there, and the
// worker's nothing of libcurl's. What the network thread throws is thrown again by wait() or
// take_received().

#include <poll.h>

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "worker/curl_transport.h"

namespace docmill {

class NetworkThread : public Transport {
 public:
  // As CurlTransport's. Signals are left to the thread that makes it.
  NetworkThread(const Clock& clock, const Providers& providers,
                const std::map<std::string, Key>& keys, CurlTransport::Options options);
  // Cuts what flies.
  ~NetworkThread() override;
  NetworkThread(const NetworkThread&) = delete;

  // As CurlTransport's; done when it returns.
  void use(const Providers& providers, const std::map<std::string, Key>& keys, int in_flight,
           std::int64_t max_reply_bytes);
  // wait() also returns when this descriptor can be read. The caller reads it.
  void watch(int fd);

  bool has_connected(const Provider& provider) const override;
  void start(HttpRequest request) override;
  void cancel(AttemptId attempt) override;
  std::vector<Received> take_received() override;
  // Ends the process, exit 3, when the network's thread does not come back from libcurl.
  void wait(std::int64_t until_ms) override;

 private:
  struct Use {
    const Providers* providers;
    const std::map<std::string, Key>* keys;
    int in_flight;
    std::int64_t max_reply_bytes;
  };
  using Order = std::variant<HttpRequest, AttemptId, Use>;

  // Of the network's thread.
  void run();
  void obey(Order& order);
  void deliver();
  void fail(std::exception_ptr why);

  // Of the worker's thread.
  void post(Order order);
  void check_alive();
  bool has_news();

  const Clock& clock_;
  Fd to_network_, to_worker_;  // eventfds, the sleepers' bells
  std::vector<pollfd> watched_;
  std::set<std::string> connected_;   // base_urls, as far as the worker has been told
  std::int64_t missed_since_us_ = 0;  // the network's thread; 0: it is there

  std::mutex mutex_;  // of all that follows, until curl_
  std::condition_variable obeyed_;
  std::vector<Order> orders_;
  bool is_asleep_ = false;  // the network's thread, or about to
  bool is_stopping_ = false;
  std::int64_t seen_at_us_ = monotonic_us();  // the same, when it last looked at its orders
  std::int64_t uses_left_ = 0;                // use() calls that it has not carried out
  std::vector<Received> received_;
  std::vector<std::string> newly_connected_;
  std::exception_ptr failure_;

  CurlTransport curl_;  // the network thread's alone, once that runs
  std::thread thread_;
};

}  // namespace docmill
