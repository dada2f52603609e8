// What docmill's drain is held against: the same requests through libcurl's multi interface in one
// thread, the same body built and the same answer read for each, and nothing kept. No queue, no
// ledger, no limits, no callbacks but the one that gathers the reply.
//
//   bare_loop URL REQUESTS IN_FLIGHT poll|epoll [CA_FILE]

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using nlohmann::json;

constexpr int kEventsAtOnce = 256;
constexpr std::size_t kTextBytes = 2048;

struct Transfer {
  CURL* easy = nullptr;
  std::string body;
  std::string reply;
};

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "bare_loop: %s\n", what);
  std::exit(1);
}

std::size_t gather(char* bytes, std::size_t, std::size_t count, void* transfer) {
  static_cast<Transfer*>(transfer)->reply.append(bytes, count);
  return count;
}

// As many bytes as the drain's documents, each its own.
std::string text_of(int number) {
  std::string text = "Document " + std::to_string(number) + ".";
  while (text.size() < kTextBytes) text += " The quick brown fox jumps over the lazy dog.";
  text.resize(kTextBytes);
  return text;
}

class Loop {
 public:
  Loop(const char* url, int requests, int in_flight, bool uses_epoll, const char* ca_file)
      : left_(requests), uses_epoll_(uses_epoll) {
    if (uses_epoll_) {
      epoll_ = epoll_create1(0);
      curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Loop::on_socket);
      curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
      curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Loop::on_timer);
      curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    }
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(in_flight));
    headers_ = curl_slist_append(headers_, "content-type: application/json");
    headers_ = curl_slist_append(headers_, "authorization: Bearer none");
    for (int i = 0; i < in_flight; ++i) {
      auto& transfer = transfers_.emplace_back(std::make_unique<Transfer>());
      transfer->easy = curl_easy_init();
      curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
      curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, headers_);
      curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer.get());
      curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, &gather);
      curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer.get());
      curl_easy_setopt(transfer->easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
      curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
      if (ca_file != nullptr) curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, ca_file);
    }
  }

  void run() {
    for (auto& transfer : transfers_) start(*transfer);
    while (flying_ > 0) {
      if (uses_epoll_) {
        wait_epoll();
      } else {
        int running = 0;
        curl_multi_perform(multi_, &running);
        collect();
        if (flying_ > 0) curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
      }
    }
  }

  long long tokens() const { return tokens_; }

 private:
  void start(Transfer& transfer) {
    if (left_ == 0) return;
    json body;
    body["model"] = "bench";
    body["messages"] = json::array({{{"role", "system"}, {"content", "Summarise the document."}},
                                    {{"role", "user"}, {"content", text_of(left_)}}});
    body["max_tokens"] = 1024;
    --left_;
    ++flying_;
    transfer.body = body.dump();
    transfer.reply.clear();
    curl_easy_setopt(transfer.easy, CURLOPT_POSTFIELDS, transfer.body.data());
    curl_easy_setopt(transfer.easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(transfer.body.size()));
    if (curl_multi_add_handle(multi_, transfer.easy) != CURLM_OK) die("add_handle");
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      if (message->data.result != CURLE_OK) die(curl_easy_strerror(message->data.result));
      Transfer* transfer = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      const json reply = json::parse(transfer->reply);
      if (reply.at("choices").at(0).at("message").at("content").get<std::string>().empty()) {
        die("an empty answer");
      }
      tokens_ += reply.at("usage").at("completion_tokens").get<long long>();
      curl_multi_remove_handle(multi_, transfer->easy);
      --flying_;
      start(*transfer);
    }
  }

  void wait_epoll() {
    std::array<epoll_event, kEventsAtOnce> events;
    const int count = epoll_wait(epoll_, events.data(), kEventsAtOnce, timeout_ms_);
    int running = 0;
    if (count == 0) {
      timeout_ms_ = -1;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      int action = 0;
      if (event.events & EPOLLIN) action |= CURL_CSELECT_IN;
      if (event.events & EPOLLOUT) action |= CURL_CSELECT_OUT;
      if (event.events & (EPOLLERR | EPOLLHUP)) action |= CURL_CSELECT_ERR;
      curl_multi_socket_action(multi_, event.data.fd, action, &running);
    }
    if (timeout_ms_ == 0) {
      timeout_ms_ = -1;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    collect();
  }

  static int on_timer(CURLM*, long timeout_ms, void* self) {
    static_cast<Loop*>(self)->timeout_ms_ = static_cast<int>(timeout_ms);
    return 0;
  }

  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void* known) {
    Loop& loop = *static_cast<Loop*>(self);
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(loop.epoll_, EPOLL_CTL_DEL, fd, nullptr);
      return 0;
    }
    epoll_event event{};
    event.data.fd = fd;
    if (what & CURL_POLL_IN) event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
    epoll_ctl(loop.epoll_, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(loop.multi_, fd, &loop);
    return 0;
  }

  CURLM* multi_ = curl_multi_init();
  curl_slist* headers_ = nullptr;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  int left_;
  int flying_ = 0;
  long long tokens_ = 0;
  bool uses_epoll_;
  int epoll_ = -1;
  int timeout_ms_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) die("usage: bare_loop URL REQUESTS IN_FLIGHT poll|epoll [CA_FILE]");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  Loop loop(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), std::strcmp(argv[4], "epoll") == 0,
            argc > 5 ? argv[5] : nullptr);
  const auto began = std::chrono::steady_clock::now();
  loop.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("{\"seconds\": %.6f, \"tokens\": %lld}\n", took.count(), loop.tokens());
  return 0;
}
