#include "cli/metrics_endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include <mutex>
#include <string_view>

#include "base/errors.h"

namespace docmill {
namespace {

// The worker turns at least every ten seconds; a commit may wait for a slow disk.
constexpr std::int64_t kStaleMs = 60'000;
constexpr unsigned int kMostConnections = 16;
constexpr unsigned int kTimeoutS = 5;

}  // namespace

struct MetricsEndpoint::Server {
  explicit Server(const Clock& a_clock) : clock(a_clock), published_ms(a_clock.now_ms()) {}
  ~Server() {
    if (daemon != nullptr) MHD_stop_daemon(daemon);
  }

  struct Page {
    unsigned int status = MHD_HTTP_OK;
    std::string text;
  };

  Page page_for(std::string_view path) {
    const std::lock_guard lock(mutex);
    if (path == "/metrics") return {MHD_HTTP_OK, metrics};
    const std::int64_t silent_ms = clock.now_ms() - published_ms;
    if (path == "/healthz" || path == "/readyz") {
      if (silent_ms > kStaleMs) {
        return {MHD_HTTP_SERVICE_UNAVAILABLE,
                fmt::format("the worker has not turned for {}\n", human_duration(silent_ms))};
      }
      if (path == "/readyz" && !is_ready) {
        return {MHD_HTTP_SERVICE_UNAVAILABLE, "it takes no work now\n"};
      }
      return {MHD_HTTP_OK, "ok\n"};
    }
    return {MHD_HTTP_NOT_FOUND, "/metrics, /healthz and /readyz are here\n"};
  }

  static MHD_Result answer(void* self, MHD_Connection* connection, const char* url,
                           const char* method, const char*, const char*, std::size_t*,
                           void**) noexcept {
    Page page;
    const std::string_view asked = method;
    if (asked == "GET" || asked == "HEAD") {
      page = static_cast<Server*>(self)->page_for(url);
    } else {
      page = {MHD_HTTP_METHOD_NOT_ALLOWED, "GET\n"};
    }
    MHD_Response* response =
        MHD_create_response_from_buffer(page.text.size(), page.text.data(), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    const MHD_Result queued = MHD_queue_response(connection, page.status, response);
    MHD_destroy_response(response);
    return queued;
  }

  const Clock& clock;
  MHD_Daemon* daemon = nullptr;
  std::mutex mutex;
  std::string metrics;
  std::int64_t published_ms;
  bool is_ready = false;
};

MetricsEndpoint::MetricsEndpoint(const Clock& clock, int port)
    : server_(std::make_unique<Server>(clock)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server_->daemon = MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, nullptr,
                                     nullptr, &Server::answer, server_.get(), MHD_OPTION_SOCK_ADDR,
                                     &address, MHD_OPTION_CONNECTION_LIMIT, kMostConnections,
                                     MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutS, MHD_OPTION_END);
  if (server_->daemon == nullptr) {
    throw WorldError(fmt::format("[metrics] cannot listen on 127.0.0.1:{}", port));
  }
}

MetricsEndpoint::~MetricsEndpoint() = default;

void MetricsEndpoint::publish(std::string metrics, bool is_ready) {
  const std::int64_t now_ms = server_->clock.now_ms();
  const std::lock_guard lock(server_->mutex);
  server_->metrics = std::move(metrics);
  server_->published_ms = now_ms;
  server_->is_ready = is_ready;
}

}  // namespace docmill
