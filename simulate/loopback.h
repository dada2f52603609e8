// Descriptors and sockets of the simulator.

#pragma once

#include <cstdint>
#include <utility>

namespace docmill::sim {

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// `fd`, unless the call that made it failed: then std::runtime_error with `what` and errno.
Descriptor checked(int fd, const char* what);

// Listens on 127.0.0.1; port 0 takes any. Throws std::runtime_error.
Descriptor listen_on_loopback(std::uint16_t port);
std::uint16_t port_of(int listening_fd);

// The other side has closed, or the connection is broken. Reads nothing.
bool peer_is_gone(int fd);

// The next close() sends RST in place of an orderly end.
void make_close_reset(int fd);

// How many connections the limit on open files leaves room for.
unsigned int most_connections();

}  // namespace docmill::sim
