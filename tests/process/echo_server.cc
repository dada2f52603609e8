#include "tests/process/echo_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace docmill::process_test {
namespace {

constexpr int kLookEveryMs = 50;
constexpr int kLongestReadMs = 1000;

}  // namespace

EchoServer::EchoServer(int status)
    : status_(status), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), generic, size) != 0 || listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), generic, &size) != 0) {
    throw std::runtime_error("no port for the echo server");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

EchoServer::~EchoServer() {
  is_over_ = true;
  thread_.join();
}

std::string EchoServer::url() const {
  return fmt::format("http://127.0.0.1:{}/v1", port_);
}

bool EchoServer::has_heard(const std::string& bytes) const {
  const std::lock_guard lock(mutex_);
  return heard_.find(bytes) != std::string::npos;
}

void EchoServer::serve() {
  while (!is_over_) {
    pollfd called{listener_.get(), POLLIN, 0};
    if (poll(&called, 1, kLookEveryMs) <= 0) continue;
    const Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.is_open()) answer(connection.get());
  }
}

void EchoServer::answer(int connection) {
  std::string request;
  const auto is_whole = [&] {
    const std::size_t head = request.find("\r\n\r\n");
    const std::size_t length = request.find("Content-Length: ");
    if (head == std::string::npos || length == std::string::npos) return false;
    return request.size() >= head + 4 + std::stoul(request.substr(length + 16, 12));
  };
  std::string block(1 << 16, '\0');
  while (!is_whole()) {
    pollfd readable{connection, POLLIN, 0};
    if (poll(&readable, 1, kLongestReadMs) <= 0) return;
    const ssize_t got = read(connection, block.data(), block.size());
    if (got <= 0) return;
    request.append(block, 0, static_cast<std::size_t>(got));
  }
  const std::lock_guard lock(mutex_);
  heard_ += request;
  // The key first: messages are cut to some length before they are kept.
  const std::size_t key = request.find("Authorization: ");
  const std::string line =
      key == std::string::npos ? "" : request.substr(key, request.find('\r', key) - key);
  const nlohmann::json error = {{"message", "Refused: " + line}, {"code", line}, {"type", line}};
  const std::string body = nlohmann::json({{"error", error}}).dump();
  const std::string reply = fmt::format(
      "HTTP/1.1 {} Refused\r\nContent-Type: application/json\r\nX-Request-Id: {}\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      status_, line, body.size(), body);
  static_cast<void>(send(connection, reply.data(), reply.size(), MSG_NOSIGNAL));
}

}  // namespace docmill::process_test
