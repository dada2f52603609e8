#include "tests/raw_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <stdexcept>

#include "base/text.h"
#include "simulate/loopback.h"

namespace docmill::wire_test {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

SteadyTime steady_now() {
  return std::chrono::steady_clock::now();
}

std::map<std::string, Key> as_keys(const std::map<std::string, std::string>& secrets) {
  std::map<std::string, Key> keys;
  for (const auto& [provider, secret] : secrets) keys.emplace(provider, Key{Secret(secret), ""});
  return keys;
}

Providers by_name(const std::vector<Provider>& list) {
  Providers providers;
  for (const Provider& provider : list) providers.emplace(provider.name, provider);
  return providers;
}

// Lines from the first to the blank one.
Seen read_head(std::string_view head) {
  Seen seen;
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (seen.line.empty()) {
      seen.line = line;
    } else if (colon != std::string_view::npos) {
      seen.headers[lower_ascii(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
    }
  }
  return seen;
}

}  // namespace

struct RawServer::Connection {
  Fd fd;
  int id = 0;
  int requests = 0;
  std::string in;
  bool is_playing = false;
  Play play;
  std::string out;
  SteadyTime next_filler_at;

  bool is_over() const { return out.empty() && play.filler_times == 0; }

  // Brings the next filler when its time has come; fast ones by the hundred.
  void refill() {
    if (!out.empty() || play.filler_times == 0) return;
    if (play.filler_every_ms > 0 && steady_now() < next_filler_at) return;
    const int times = play.filler_every_ms > 0 ? 1 : std::min(play.filler_times, 100);
    for (int i = 0; i < times; ++i) out += play.filler;
    play.filler_times -= times;
    next_filler_at = steady_now() + std::chrono::milliseconds(play.filler_every_ms);
  }

  pollfd wanted() const {
    if (!is_playing) return {fd.get(), POLLIN, 0};
    return {fd.get(), static_cast<short>(out.empty() ? 0 : POLLOUT), 0};
  }
};

RawServer::RawServer(Script script)
    : script_(std::move(script)),
      listening_(sim::listen_on_loopback(0).release()),
      port_(sim::port_of(listening_.get())),
      stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { run(); }) {}

RawServer::~RawServer() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

std::vector<Seen> RawServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

int RawServer::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void RawServer::run() {
  for (;;) {
    std::vector<pollfd> wanted{{stop_.get(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
    bool is_paced = false;
    for (Connection& connection : open_) {
      if (connection.is_playing) connection.refill();
      is_paced |= connection.is_playing && connection.out.empty();
      wanted.push_back(connection.wanted());
    }
    if (::poll(wanted.data(), wanted.size(), is_paced ? 1 : -1) < 0 && errno != EINTR) return;
    if (wanted[0].revents != 0) return;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const short events = wanted[i + 2].revents;
      if ((events & POLLIN) != 0) receive(open_[i]);
      if ((events & POLLOUT) != 0) send(open_[i]);
      if ((events & (POLLERR | POLLHUP)) != 0 && (events & POLLIN) == 0) open_[i].fd = Fd();
    }
    std::erase_if(open_, [](const Connection& connection) { return !connection.fd.is_open(); });
    if (wanted[1].revents != 0) accept_all();
  }
}

void RawServer::accept_all() {
  for (;;) {
    Fd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.is_open()) return;
    Connection connection;
    connection.fd = std::move(fd);
    const std::lock_guard lock(mutex_);
    connection.id = ++connections_;
    open_.push_back(std::move(connection));
  }
}

void RawServer::receive(Connection& connection) {
  std::array<char, 65'536> buffer;
  const ssize_t got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) connection.fd = Fd();
    return;
  }
  connection.in.append(buffer.data(), static_cast<std::size_t>(got));
  const std::size_t head_end = connection.in.find("\r\n\r\n");
  if (head_end == std::string::npos) return;
  Seen seen = read_head(std::string_view(connection.in).substr(0, head_end));
  const std::string& length = seen.headers["content-length"];
  seen.body_bytes = length.empty() ? 0 : std::stoul(length);
  if (connection.in.size() < head_end + 4 + seen.body_bytes) return;
  connection.in.erase(0, head_end + 4 + seen.body_bytes);
  seen.connection = connection.id;
  seen.number = ++connection.requests;
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back(seen);
  }
  connection.play = script_(seen);
  connection.out = connection.play.bytes;
  connection.is_playing = true;
  connection.next_filler_at =
      steady_now() + std::chrono::milliseconds(connection.play.filler_every_ms);
  if (connection.is_over()) send(connection);
}

void RawServer::send(Connection& connection) {
  if (!connection.out.empty()) {
    const ssize_t sent = ::send(connection.fd.get(), connection.out.data(), connection.out.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      connection.fd = Fd();
      return;
    }
    connection.out.erase(0, static_cast<std::size_t>(sent));
  }
  if (!connection.is_over()) return;
  connection.is_playing = false;
  if (connection.play.then == Play::Then::keep) return;
  if (connection.play.then == Play::Then::reset) sim::make_close_reset(connection.fd.get());
  connection.fd = Fd();
}

std::uint16_t deserted_port() {
  return sim::port_of(sim::listen_on_loopback(0).get());
}

std::string http_200(const std::string& body, const std::string& headers) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Provider quick_provider(const std::string& name, const std::string& base_url) {
  Provider provider;
  provider.name = name;
  provider.base_url = base_url;
  provider.allow_http = true;
  provider.proxy = "none";
  provider.connect_timeout_ms = 300;
  provider.progress_timeout_ms = 2000;
  provider.deadline_ms = 5000;
  return provider;
}

Caller::Caller(const std::vector<Provider>& list, CurlTransport::Options options,
               const std::map<std::string, std::string>& keys)
    : providers(by_name(list)), transport(clock, providers, as_keys(keys), std::move(options)) {}

AttemptId Caller::start(const std::string& provider, std::string body) {
  HttpRequest request;
  request.provider = &providers.at(provider);
  request.model = "m";
  request.path = "/chat/completions";
  request.body = std::move(body);
  return start(std::move(request));
}

AttemptId Caller::start(HttpRequest request) {
  const AttemptId attempt{++last_attempt_};
  request.attempt = attempt;
  request.keeps_body = true;
  transport.start(std::move(request));
  return attempt;
}

HttpReply Caller::finish(AttemptId attempt) {
  const std::int64_t give_up_at_ms = clock.now_ms() + 10'000;
  while (!received_.contains(attempt.value)) {
    if (clock.now_ms() >= give_up_at_ms) throw std::runtime_error("no reply within ten seconds");
    transport.wait(give_up_at_ms);
    for (Received& received : transport.take_received()) {
      received_[received.attempt.value] = std::move(received.reply);
    }
  }
  return received_.extract(attempt.value).mapped();
}

std::int64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  throw std::runtime_error("/proc/self/status does not tell the peak");
}

void forget_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace docmill::wire_test
