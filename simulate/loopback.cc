// The few socket calls that libmicrohttpd does not make for us.

#include "simulate/loopback.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace docmill::sim {

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor checked(int fd, const char* what) {
  if (fd >= 0) return Descriptor(fd);
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

Descriptor listen_on_loopback(std::uint16_t port) {
  constexpr int kBacklog = 4096;
  Descriptor socket =
      checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    throw std::runtime_error(
        fmt::format("cannot listen on 127.0.0.1:{}: {}", port, std::strerror(errno)));
  }
  return socket;
}

std::uint16_t port_of(int listening_fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(listening_fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error(fmt::format("getsockname: {}", std::strerror(errno)));
  }
  return ntohs(address.sin_port);
}

bool peer_is_gone(int fd) {
  char byte = 0;
  const ssize_t got = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void make_close_reset(int fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

unsigned int most_connections() {
  constexpr rlim_t kKeptFree = 64;
  constexpr rlim_t kMost = 65'536;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return kKeptFree;
  return static_cast<unsigned int>(std::clamp(files.rlim_cur, 2 * kKeptFree, kMost) - kKeptFree);
}

}  // namespace docmill::sim
