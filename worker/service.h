#pragma once

// What a service manager and a terminal tell the worker, and what it tells them: signals by
// signalfd, sd_notify(3) by its datagram protocol, which is stable and needs no library.

#include <signal.h>

#include <cstdint>
#include <string_view>

#include "base/file.h"

namespace docmill {

// Blocks SIGTERM, SIGINT and SIGHUP for this thread, and those that it starts, and reads them from
// a descriptor; until it goes.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  int fd() const { return fd_.get(); }

  struct Seen {
    int stops = 0;             // SIGTERM or SIGINT
    bool interrupted = false;  // at least one was SIGINT
    bool reload = false;
  };
  Seen take();

 private:
  sigset_t blocked_before_;
  Fd fd_;
};

// What systemd's watchdog wants to hear while the worker turns; nothing without one.
class Watchdog {
 public:
  Watchdog();
  // Cheap, and seldom more than a look at the time. When it is to be fed again, at the latest.
  std::int64_t feed(std::int64_t now_ms);

 private:
  std::int64_t every_ms_ = 0;  // 0: nobody watches
  std::int64_t next_ms_ = 0;
};

// Sends lines such as "READY=1" to $NOTIFY_SOCKET; nothing without one.
void notify_service(std::string_view lines);

}  // namespace docmill
