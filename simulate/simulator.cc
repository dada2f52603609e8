// The loop: libmicrohttpd's epoll set, a timer and a stop descriptor in an epoll set of our own.
//
// libmicrohttpd speaks HTTP and calls back; a callback that has nothing to send yet suspends its
// connection and leaves an entry in the heap of timers. A suspended connection is never
// touched by libmicrohttpd, not even when its client hangs up, which has two consequences: an
// entry in the heap always points to a living exchange, and we must look ourselves whether the
// client is still there.

#include "simulate/simulator.h"

#include <microhttpd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <queue>
#include <stdexcept>
#include <utility>
#include <vector>

#include "simulate/exchange.h"
#include "simulate/loopback.h"
#include "simulate/provider.h"

namespace docmill {

using sim::Descriptor;
using sim::Exchange;
using sim::TimePoint;

namespace {

constexpr std::size_t kMostBodyBytes = std::size_t{80} << 20U;
constexpr auto kLookAfterPeer = std::chrono::milliseconds(250);
constexpr std::size_t kBlockBytes = 16'384;

TimePoint now() {
  return std::chrono::steady_clock::now();
}

std::optional<std::string> header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

int socket_of(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

// libmicrohttpd 0.9.75 marks a chunked reply that fails as closed and then forgets about it until
// its socket has an event. So we make one.
ssize_t break_off(const Exchange& exchange) {
  ::shutdown(socket_of(exchange.connection), SHUT_RDWR);
  return MHD_CONTENT_READER_END_WITH_ERROR;
}

}  // namespace

class Simulator::Server {
 public:
  explicit Server(const SimulatorOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void run();
  void stop() noexcept;
  std::uint16_t port() const { return port_; }
  const SimulatorCounters& counters() const { return provider_.counters(); }

 private:
  // Ordered by time, so that the top of the heap is the next to come.
  struct Timer {
    TimePoint at;
    Exchange* exchange;
    bool operator>(const Timer& other) const { return at > other.at; }
  };

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* url,
                               const char* method, const char* version, const char* upload,
                               std::size_t* upload_size, void** state);
  static void on_completed(void* self, MHD_Connection* connection, void** state,
                           MHD_RequestTerminationCode code);
  static ssize_t on_body(void* state, std::uint64_t position, char* out, std::size_t room);

  // What every exchange needs to find its way back from a C callback.
  struct Visit : Exchange {
    Server* server = nullptr;
  };

  void start_daemon();
  void watch(int fd);
  void wait_for_events();
  void set_timer(TimePoint at);
  void resume_due();
  void shut_down();
  void wait(Exchange& exchange);
  void receive(Exchange& exchange, std::string_view upload) const;
  MHD_Result reply(Visit& visit);
  MHD_Result queue_response(Visit& visit);
  ssize_t feed(Exchange& exchange, char* out, std::size_t room);

  Descriptor listening_;
  std::uint16_t port_;
  sim::Provider provider_;
  Descriptor epoll_;
  Descriptor timer_;
  Descriptor stop_;
  MHD_Daemon* daemon_ = nullptr;

  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  TimePoint timer_set_to_{};
  std::int64_t in_flight_ = 0;
  bool stopping_ = false;
  // An exception must not pass through libmicrohttpd's C frames; run() throws it again.
  std::exception_ptr failure_;
};

Simulator::Server::Server(const SimulatorOptions& options)
    : listening_(sim::listen_on_loopback(options.port)),
      port_(sim::port_of(listening_.get())),
      provider_(options, port_),
      epoll_(sim::checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      timer_(sim::checked(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                          "timerfd_create")),
      stop_(sim::checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  start_daemon();
  watch(MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
  watch(timer_.get());
  watch(stop_.get());
}

Simulator::Server::~Server() {
  shut_down();
}

void Simulator::Server::start_daemon() {
  // TURBO leaves out shutdown() before close(): with it a reset would be a FIN and then an RST.
  constexpr unsigned int kFlags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
  daemon_ = MHD_start_daemon(
      kFlags, 0, nullptr, nullptr, &Server::on_request, this, MHD_OPTION_LISTEN_SOCKET,
      listening_.get(), MHD_OPTION_CONNECTION_LIMIT, sim::most_connections(),
      MHD_OPTION_NOTIFY_COMPLETED, &Server::on_completed, this, MHD_OPTION_END);
  if (daemon_ == nullptr) throw std::runtime_error("libmicrohttpd does not start");
  listening_.release();  // the daemon closes it
}

void Simulator::Server::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return;
  const int error = errno;
  MHD_stop_daemon(std::exchange(daemon_, nullptr));  // no destructor runs for half an object
  throw std::runtime_error(std::string("epoll_ctl: ") + std::strerror(error));
}

void Simulator::Server::run() {
  if (daemon_ == nullptr) throw std::logic_error("a simulator runs once");
  while (!stopping_ && !failure_) {
    wait_for_events();
    resume_due();
    MHD_run(daemon_);
  }
  shut_down();
  if (failure_) std::rethrow_exception(failure_);
}

void Simulator::Server::stop() noexcept {
  const int error = errno;  // a signal handler must leave it as it was
  const std::uint64_t one = 1;
  // Fails only when it has been called 2^64 times.
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
  errno = error;
}

void Simulator::Server::wait_for_events() {
  set_timer(timers_.empty() ? TimePoint{} : timers_.top().at);
  MHD_UNSIGNED_LONG_LONG pending_ms = 0;
  const bool pending = MHD_get_timeout(daemon_, &pending_ms) == MHD_YES;
  constexpr MHD_UNSIGNED_LONG_LONG kMostMs = 60'000;
  const int timeout_ms = pending ? static_cast<int>(std::min(pending_ms, kMostMs)) : -1;
  std::array<epoll_event, 4> events{};
  const int ready =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  if (ready < 0 && errno != EINTR) {
    throw std::runtime_error(std::string("epoll_wait: ") + std::strerror(errno));
  }
  for (int i = 0; i < ready; ++i) {
    if (events.at(static_cast<std::size_t>(i)).data.fd == stop_.get()) stopping_ = true;
  }
}

// The timer is never read: to set it anew takes back its expiry.
void Simulator::Server::set_timer(TimePoint at) {
  if (at == timer_set_to_) return;
  timer_set_to_ = at;
  const auto since_boot = at.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  itimerspec spec{};
  spec.it_value.tv_sec = seconds.count();
  spec.it_value.tv_nsec = std::chrono::nanoseconds(since_boot - seconds).count();
  if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr) != 0) {
    throw std::runtime_error(std::string("timerfd_settime: ") + std::strerror(errno));
  }
}

void Simulator::Server::resume_due() {
  const TimePoint at = now();
  while (!timers_.empty() && timers_.top().at <= at) {
    Exchange& exchange = *timers_.top().exchange;
    timers_.pop();
    if (exchange.due() > at) {
      exchange.peer_gone = sim::peer_is_gone(socket_of(exchange.connection));
      if (!exchange.peer_gone) {
        timers_.push({std::min(exchange.due(), at + kLookAfterPeer), &exchange});
        continue;
      }
    }
    MHD_resume_connection(exchange.connection);
  }
}

// libmicrohttpd panics when it is stopped with suspended connections; resumed ones are closed by
// their callbacks, which see stopping_.
void Simulator::Server::shut_down() {
  if (daemon_ == nullptr) return;
  stopping_ = true;
  for (; !timers_.empty(); timers_.pop()) {
    MHD_resume_connection(timers_.top().exchange->connection);
  }
  MHD_run(daemon_);
  MHD_stop_daemon(std::exchange(daemon_, nullptr));
}

void Simulator::Server::wait(Exchange& exchange) {
  MHD_suspend_connection(exchange.connection);
  timers_.push({std::min(exchange.due(), now() + kLookAfterPeer), &exchange});
}

MHD_Result Simulator::Server::on_request(void* self, MHD_Connection* connection, const char* url,
                                         const char* method, const char* /*version*/,
                                         const char* upload, std::size_t* upload_size,
                                         void** state) {
  Server& server = *static_cast<Server*>(self);
  try {
    if (*state == nullptr) {
      auto visit = std::make_unique<Visit>();
      visit->server = &server;
      visit->connection = connection;
      visit->incoming.method = method;
      visit->incoming.path = url;
      visit->incoming.authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
      visit->incoming.client_request_id = header(connection, "x-client-request-id");
      *state = visit.release();  // on_completed() takes it back
      return MHD_YES;
    }
    Visit& visit = *static_cast<Visit*>(*state);
    if (*upload_size == 0) return server.reply(visit);
    server.receive(visit, {upload, *upload_size});
    *upload_size = 0;
    return MHD_YES;
  } catch (const std::exception&) {
    server.failure_ = std::current_exception();
    return MHD_NO;
  }
}

void Simulator::Server::on_completed(void* self, MHD_Connection* /*connection*/, void** state,
                                     MHD_RequestTerminationCode /*code*/) {
  const std::unique_ptr<Visit> visit(static_cast<Visit*>(std::exchange(*state, nullptr)));
  if (visit && visit->decided) --static_cast<Server*>(self)->in_flight_;
}

void Simulator::Server::receive(Exchange& exchange, std::string_view upload) const {
  sim::Incoming& incoming = exchange.incoming;
  if (incoming.too_large) return;
  incoming.too_large = incoming.body.size() + upload.size() > kMostBodyBytes;
  if (incoming.too_large) {
    std::string().swap(incoming.body);
  } else {
    incoming.body.append(upload);
  }
}

// Called when the request is there, and again each time its connection is resumed.
MHD_Result Simulator::Server::reply(Visit& visit) {
  if (stopping_ || visit.peer_gone) return MHD_NO;
  if (!visit.decided) {
    visit.begin(provider_.reply_to(visit.incoming, in_flight_), now());
    ++in_flight_;
    if (visit.due() > now()) {
      wait(visit);
      return MHD_YES;
    }
  }
  if (visit.reply().ending == sim::Ending::reset) {
    sim::make_close_reset(socket_of(visit.connection));
    return MHD_NO;
  }
  return queue_response(visit);
}

MHD_Result Simulator::Server::queue_response(Visit& visit) {
  const sim::Reply& reply = visit.reply();
  const std::unique_ptr<MHD_Response, decltype(&MHD_destroy_response)> response(
      reply.in_one_piece()
          ? MHD_create_response_from_buffer(reply.body.size(), const_cast<char*>(reply.body.data()),
                                            MHD_RESPMEM_MUST_COPY)
          : MHD_create_response_from_callback(reply.promised_bytes.value_or(MHD_SIZE_UNKNOWN),
                                              kBlockBytes, &Server::on_body, &visit, nullptr),
      &MHD_destroy_response);
  if (!response) throw std::bad_alloc();
  for (const auto& [name, value] : reply.headers) {
    if (MHD_add_response_header(response.get(), name.c_str(), value.c_str()) != MHD_YES) {
      throw std::logic_error("not a header: " + name);
    }
  }
  return MHD_queue_response(visit.connection, static_cast<unsigned int>(reply.status),
                            response.get());
}

ssize_t Simulator::Server::on_body(void* state, std::uint64_t /*position*/, char* out,
                                   std::size_t room) {
  Visit& visit = *static_cast<Visit*>(state);
  return visit.server->feed(visit, out, room);
}

ssize_t Simulator::Server::feed(Exchange& exchange, char* out, std::size_t room) {
  if (stopping_ || exchange.peer_gone) return break_off(exchange);
  switch (exchange.next(now())) {
    case Exchange::Next::end:
      return MHD_CONTENT_READER_END_OF_STREAM;
    case Exchange::Next::broken:
      return break_off(exchange);
    case Exchange::Next::later:
      wait(exchange);
      return 0;
    case Exchange::Next::bytes:
      break;
  }
  const std::size_t size = std::min(room, exchange.portion().size());
  std::memcpy(out, exchange.portion().data(), size);
  exchange.sent(size);
  return static_cast<ssize_t>(size);
}

namespace {

const SimulatorOptions& validated(const SimulatorOptions& options) {
  options.validate();
  return options;
}

}  // namespace

Simulator::Simulator(SimulatorOptions options)
    : server_(std::make_unique<Server>(validated(options))) {}
Simulator::~Simulator() = default;
std::uint16_t Simulator::port() const {
  return server_->port();
}
void Simulator::run() {
  server_->run();
}
void Simulator::stop() noexcept {
  server_->stop();
}
const SimulatorCounters& Simulator::counters() const {
  return server_->counters();
}

}  // namespace docmill
