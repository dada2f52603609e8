#pragma once

// A provider that answers every request with an error which repeats the request's own headers, key
// and all. Some gateways do.

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "base/file.h"

namespace docmill::process_test {

class EchoServer {
 public:
  // Every reply has this HTTP status.
  explicit EchoServer(int status);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;

  std::string url() const;
  bool has_heard(const std::string& bytes) const;

 private:
  void serve();
  void answer(int connection);

  int status_;
  Fd listener_;
  int port_ = 0;
  std::atomic<bool> is_over_{false};
  mutable std::mutex mutex_;
  std::string heard_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace docmill::process_test
