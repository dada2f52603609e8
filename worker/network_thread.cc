#include "worker/network_thread.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"

namespace docmill {
namespace {

// The network's thread sleeps no longer than this. It is missed after a minute, and given up half a
// minute later: the first look may be that of a process that was itself stopped for long.
constexpr std::int64_t kLongestSleepMs = 10'000;
constexpr std::int64_t kMissedAfterUs = 60'000'000;
constexpr std::int64_t kGivenUpAfterUs = 30'000'000;
constexpr int kExitOfAHang = 3;  // as for all that is broken outside of us

Fd make_bell() {
  Fd bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell.is_open()) throw world_error_from_errno("eventfd");
  return bell;
}

void ring(const Fd& bell) {
  eventfd_write(bell.get(), 1);  // fails only when it has rung 2^64 - 1 times
}

void silence(const Fd& bell) {
  eventfd_t count = 0;
  eventfd_read(bell.get(), &count);
}

}  // namespace

NetworkThread::NetworkThread(const Clock& clock, const Providers& providers,
                             const std::map<std::string, Key>& keys, CurlTransport::Options options)
    : clock_(clock),
      to_network_(make_bell()),
      to_worker_(make_bell()),
      watched_{{to_worker_.get(), POLLIN, 0}},
      curl_(clock, providers, keys, std::move(options)) {
  curl_.watch(to_network_.get());
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    try {
      run();
    } catch (const std::exception&) {
      fail(std::current_exception());
    }
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

NetworkThread::~NetworkThread() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  ring(to_network_);
  thread_.join();
}

void NetworkThread::run() {
  for (;;) {
    std::vector<Order> orders;
    {
      const std::lock_guard lock(mutex_);
      if (is_stopping_) return;
      orders.swap(orders_);
      is_asleep_ = orders.empty();
      seen_at_us_ = monotonic_us();
    }
    for (Order& order : orders) obey(order);
    curl_.wait(orders.empty() ? clock_.now_ms() + kLongestSleepMs : 0);
    silence(to_network_);
    deliver();
  }
}

void NetworkThread::obey(Order& order) {
  if (HttpRequest* request = std::get_if<HttpRequest>(&order)) {
    curl_.start(std::move(*request));
  } else if (const AttemptId* attempt = std::get_if<AttemptId>(&order)) {
    curl_.cancel(*attempt);
  } else {
    const Use& use = std::get<Use>(order);
    curl_.use(*use.providers, *use.keys, use.in_flight, use.max_reply_bytes);
    const std::lock_guard lock(mutex_);
    --uses_left_;
    obeyed_.notify_all();
  }
}

void NetworkThread::deliver() {
  std::vector<Received> received = curl_.take_received();
  std::vector<std::string> connected = curl_.take_connected();
  if (received.empty() && connected.empty()) return;
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = received_.empty() && newly_connected_.empty();
    for (Received& one : received) received_.push_back(std::move(one));
    for (std::string& one : connected) newly_connected_.push_back(std::move(one));
  }
  if (was_empty) ring(to_worker_);
}

void NetworkThread::fail(std::exception_ptr why) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(why);
    obeyed_.notify_all();
  }
  ring(to_worker_);
}

void NetworkThread::post(Order order) {
  bool is_asleep = false;
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
    is_asleep = std::exchange(is_asleep_, false);
  }
  if (is_asleep) ring(to_network_);
}

void NetworkThread::use(const Providers& providers, const std::map<std::string, Key>& keys,
                        int in_flight, std::int64_t max_reply_bytes) {
  {
    const std::lock_guard lock(mutex_);
    ++uses_left_;
  }
  post(Use{&providers, &keys, in_flight, max_reply_bytes});
  std::unique_lock lock(mutex_);
  const auto is_done = [&] { return uses_left_ == 0 || failure_ != nullptr; };
  while (!obeyed_.wait_for(lock, std::chrono::seconds(1), is_done)) {
    lock.unlock();
    check_alive();
    lock.lock();
  }
}

void NetworkThread::watch(int fd) {
  watched_.push_back({fd, POLLIN, 0});
}

bool NetworkThread::has_connected(const Provider& provider) const {
  return connected_.contains(provider.base_url);
}

void NetworkThread::start(HttpRequest request) {
  post(std::move(request));
}

void NetworkThread::cancel(AttemptId attempt) {
  post(attempt);
}

std::vector<Received> NetworkThread::take_received() {
  std::vector<Received> received;
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  received.swap(received_);
  return received;
}

// Replies, or a first connection, which is taken.
bool NetworkThread::has_news() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  const bool has_connected = !newly_connected_.empty();
  connected_.insert(newly_connected_.begin(), newly_connected_.end());
  newly_connected_.clear();
  return has_connected || !received_.empty();
}

void NetworkThread::wait(std::int64_t until_ms) {
  for (;;) {
    if (has_news()) return;
    check_alive();
    const std::int64_t left_ms =
        std::clamp<std::int64_t>(until_ms - clock_.now_ms(), 0, kLongestSleepMs);
    const int ready = poll(watched_.data(), watched_.size(), static_cast<int>(left_ms));
    if (ready < 0 && errno != EINTR) throw world_error_from_errno("poll");
    if (ready > 0 && watched_.front().revents != 0) silence(to_worker_);
    const bool is_called = ready < 0 || std::any_of(watched_.begin() + 1, watched_.end(),
                                                    [](const pollfd& one) { return one.revents; });
    if (is_called || clock_.now_ms() >= until_ms) return;
  }
}

// A libcurl that does not return would leave every request open, without a word.
void NetworkThread::check_alive() {
  const std::int64_t now_us = monotonic_us();
  {
    const std::lock_guard lock(mutex_);
    if (now_us - seen_at_us_ < kMissedAfterUs) {
      missed_since_us_ = 0;
      return;
    }
  }
  if (missed_since_us_ == 0) missed_since_us_ = now_us;
  if (now_us - missed_since_us_ < kGivenUpAfterUs) return;
  log_error("libcurl has not returned for more than a minute; what is open stays unknown");
  std::_Exit(kExitOfAHang);  // no way through destructors: the thread could not be joined
}

}  // namespace docmill
