#include "worker/curl_multi.h"

#include <sys/epoll.h>

#include "base/errors.h"

namespace docmill {
namespace {

// libcurl says which events it wants on a socket; `known` marks the ones that we have.
int on_socket(CURL*, curl_socket_t fd, int what, void* self, void* known) noexcept {
  CurlMulti& multi = *static_cast<CurlMulti*>(self);
  epoll_event event{};
  event.data.fd = fd;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(multi.epoll.get(), EPOLL_CTL_DEL, fd, &event);
    return 0;
  }
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  const int action = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(multi.epoll.get(), action, fd, &event) != 0) return -1;
  curl_multi_assign(multi.handle, fd, &multi);
  return 0;
}

int on_timer(CURLM*, long after_ms, void* self) noexcept {
  CurlMulti& multi = *static_cast<CurlMulti*>(self);
  multi.timer_at_ms =
      after_ms < 0 ? std::numeric_limits<std::int64_t>::max() : multi.clock.now_ms() + after_ms;
  return 0;
}

}  // namespace

CurlMulti::CurlMulti(const Clock& own_clock)
    : handle(curl_multi_init()), epoll(epoll_create1(EPOLL_CLOEXEC)), clock(own_clock) {
  if (handle == nullptr) throw WorldError("libcurl could not start");
  if (!epoll.is_open()) throw world_error_from_errno("epoll");
  curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, &on_socket);
  curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, &on_timer);
  curl_multi_setopt(handle, CURLMOPT_TIMERDATA, this);
}

CurlMulti::~CurlMulti() {
  curl_multi_cleanup(handle);
}

}  // namespace docmill
