#include "worker/service.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/errors.h"

namespace docmill {
namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Signals::Signals() {
  const sigset_t set = handled_signals();
  sigprocmask(SIG_BLOCK, &set, &blocked_before_);
  fd_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_.is_open()) throw world_error_from_errno("signalfd");
}

Signals::~Signals() {
  sigprocmask(SIG_SETMASK, &blocked_before_, nullptr);
}

Signals::Seen Signals::take() {
  Seen seen;
  signalfd_siginfo info{};
  while (read(fd_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      seen.reload = true;
    } else {
      ++seen.stops;
      seen.interrupted |= info.ssi_signo == SIGINT;
    }
  }
  return seen;
}

Watchdog::Watchdog() {
  const char* text = std::getenv("WATCHDOG_USEC");
  if (text != nullptr) every_ms_ = std::strtoll(text, nullptr, 10) / 1000 / 3;
}

std::int64_t Watchdog::feed(std::int64_t now_ms) {
  if (every_ms_ <= 0) return std::numeric_limits<std::int64_t>::max();
  if (now_ms >= next_ms_) {
    next_ms_ = now_ms + every_ms_;
    notify_service("WATCHDOG=1");
  }
  return next_ms_;
}

void notify_service(std::string_view lines) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return;
  sendto(fd.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

}  // namespace docmill
