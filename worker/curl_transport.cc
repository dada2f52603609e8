#include "worker/curl_transport.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "base/check.h"
#include "base/errors.h"
#include "base/text.h"
#include "worker/curl_multi.h"
#include "worker/endpoint.h"

namespace docmill {

namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kMaxHeaderBytes = 64 << 10;
// An answer is shorter, whatever the others hold.
constexpr std::size_t kSparedBytes = 256 << 10;
// A stream sends some fifty bytes around each token.
constexpr std::size_t kMostPerKept = 4;
// A stream's first delta comes soon, whatever the length of the answer.
constexpr std::int64_t kFirstDeltaTimeoutMs = 120'000;
// After [DONE] the connection should end; some servers let it stand.
constexpr std::int64_t kAfterDoneMs = 1000;

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK) {
    throw WorldError(fmt::format("libcurl refused option {}: {}", static_cast<int>(option),
                                 curl_easy_strerror(code)));
  }
}

bool is_certificate_fault(CURLcode code) {
  switch (code) {
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct CurlTransport::Transfer {
  CurlTransport* owner = nullptr;
  CURL* easy = nullptr;
  Endpoint* endpoint = nullptr;
  const Endpoint* prepared_for = nullptr;  // whose options the handle has
  HttpRequest request;
  HttpReply reply;
  std::string url;
  std::string id_line;
  curl_slist id_header{};  // the request's own header, in front of the endpoint's
  std::array<char, CURL_ERROR_SIZE> error{};
  int sends = 0;
  bool is_oversize = false;
  bool has_payload = false;
  std::size_t header_bytes = 0;
  std::int64_t kept_bytes = 0;  // of the reply, in memory
  std::size_t body_bytes = 0;   // with keep-alives and what surrounds a stream's text
  int status = 0;
  std::optional<StreamReader> stream;  // once its body has begun as one
  std::int64_t last_payload_ms = 0;    // or the time of sending
  std::int64_t started_ms = 0;
  std::int64_t sent_ms = 0;  // or the start, as long as it is not sent

  ~Transfer() { curl_easy_cleanup(easy); }

  std::int64_t silent_at_ms() const {
    const Provider& provider = *endpoint->provider;
    if (stream && stream->reply().is_ended) return last_payload_ms + kAfterDoneMs;
    if (has_payload) return last_payload_ms + provider.progress_timeout_ms;
    if (provider.first_byte_timeout_ms) return last_payload_ms + *provider.first_byte_timeout_ms;
    return request.is_stream ? last_payload_ms + kFirstDeltaTimeoutMs : kNever;
  }
  std::int64_t too_slow_at_ms() const {
    return request.max_latency_ms ? sent_ms + *request.max_latency_ms : kNever;
  }
  std::int64_t ends_at_ms() const { return std::min(silent_at_ms(), too_slow_at_ms()); }

  void note_payload();
  bool may_keep(std::size_t bytes);
  bool begins_stream(std::string_view chunk) const;

  static int on_send(void* self, char*, char*, int, int) noexcept;
  static std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* self) noexcept;
  static std::size_t on_body(char* bytes, std::size_t, std::size_t size, void* self) noexcept;
};

int CurlTransport::Transfer::on_send(void* self, char*, char*, int, int) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  if (++transfer.sends > 1) return CURL_PREREQFUNC_ABORT;
  if (!transfer.endpoint->is_connected) {
    transfer.owner->connected_.push_back(transfer.endpoint->provider->base_url);
    transfer.endpoint->is_connected = true;
  }
  transfer.sent_ms = transfer.last_payload_ms = transfer.owner->clock_.now_ms();
  transfer.owner->next_silence_check_ms_ =
      std::min(transfer.owner->next_silence_check_ms_, transfer.ends_at_ms());
  return CURL_PREREQFUNC_OK;
}

std::size_t CurlTransport::Transfer::on_header(char* bytes, std::size_t, std::size_t size,
                                               void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  transfer.header_bytes += size;
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.is_oversize = true;
    return 0;
  }
  const std::string_view line = trimmed({bytes, size});
  if (line.starts_with("HTTP/")) {  // also after 1xx and a proxy's own reply
    transfer.reply.headers.clear();
    const std::size_t space = line.find(' ');
    transfer.status = space == std::string_view::npos ? 0 : std::atoi(line.data() + space);
    return size;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.reply.headers.push_back(
        {lower_ascii(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1)))});
  }
  return size;
}

void CurlTransport::Transfer::note_payload() {
  const std::int64_t now_ms = owner->clock_.now_ms();
  if (!has_payload) reply.first_byte_ms = now_ms - sent_ms;
  has_payload = true;
  last_payload_ms = now_ms;
  owner->next_silence_check_ms_ = std::min(owner->next_silence_check_ms_, ends_at_ms());
}

// A server may answer a request for a stream with plain JSON, and errors are always that.
bool CurlTransport::Transfer::begins_stream(std::string_view chunk) const {
  if (!request.is_stream || has_payload || status < 200 || status >= 300) return false;
  if (reply.header("content-type").find("event-stream") != std::string::npos) return true;
  const std::string_view start = trimmed(chunk);
  return start.starts_with("data:") || start.starts_with("event:") || start.starts_with(':');
}

std::size_t CurlTransport::Transfer::on_body(char* bytes, std::size_t, std::size_t size,
                                             void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::string_view chunk(bytes, size);
  const auto limit = static_cast<std::size_t>(transfer.owner->options_.max_reply_bytes);
  // Keep-alives are not kept, and still have an end: compressed, they may be gigabytes.
  transfer.body_bytes += size;
  if (transfer.body_bytes > limit * (transfer.stream ? kMostPerKept : 1)) {
    transfer.is_oversize = true;
    return 0;
  }
  if (!transfer.stream && transfer.begins_stream(chunk)) {
    transfer.stream.emplace(transfer.endpoint->provider->dialect, limit);
  }
  if (transfer.stream) {
    const StreamReader::Fed fed = transfer.stream->feed(chunk);
    if (!transfer.may_keep(transfer.stream->held_bytes())) return 0;
    switch (fed) {
      case StreamReader::Fed::too_long:
        transfer.is_oversize = true;
        return 0;
      case StreamReader::Fed::payload:
        transfer.note_payload();
        break;
      case StreamReader::Fed::nothing:
        break;
    }
    return size;
  }
  if (is_blank(chunk) && !transfer.has_payload) return size;
  if (!is_blank(chunk)) transfer.note_payload();
  if (transfer.reply.body.size() + size > limit) {
    transfer.is_oversize = true;
    return 0;
  }
  if (!transfer.may_keep(transfer.reply.body.size() + size)) return 0;
  transfer.reply.body.append(chunk);
  return size;
}

// So much is held of this reply now. False: the replies under way hold too much together.
bool CurlTransport::Transfer::may_keep(std::size_t bytes) {
  owner->held_bytes_ += static_cast<std::int64_t>(bytes) - kept_bytes;
  kept_bytes = static_cast<std::int64_t>(bytes);
  is_oversize = owner->held_bytes_ > owner->options_.max_replies_bytes && bytes > kSparedBytes;
  return !is_oversize;
}

CurlTransport::CurlTransport(const Clock& clock, const Providers& providers,
                             const std::map<std::string, Key>& keys, Options options)
    : clock_(clock), options_(std::move(options)), multi_(std::make_unique<CurlMulti>(clock)) {
  curl_multi_setopt(multi_->handle, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  use(providers, keys, options_.in_flight, options_.max_reply_bytes);
}

void CurlTransport::use(const Providers& providers, const std::map<std::string, Key>& keys,
                        int in_flight, std::int64_t max_reply_bytes) {
  options_.in_flight = in_flight;
  options_.max_reply_bytes = max_reply_bytes;
  // By default the cache shrinks with the handles in use, and connections are made anew.
  curl_multi_setopt(multi_->handle, CURLMOPT_MAXCONNECTS, long{in_flight + 16});
  curl_multi_setopt(multi_->handle, CURLMOPT_MAX_TOTAL_CONNECTIONS, long{in_flight + 8});
  std::map<std::string, std::unique_ptr<Endpoint>> before;
  before.swap(endpoints_);
  for (const auto& [name, provider] : providers) {
    const auto key = keys.find(name);
    auto endpoint =
        std::make_unique<Endpoint>(provider, key == keys.end() ? nullptr : &key->second);
    const auto old = before.find(name);
    endpoint->is_connected = old != before.end() && old->second->is_connected &&
                             old->second->provider->base_url == provider.base_url;
    endpoints_.emplace(name, std::move(endpoint));
  }
  for (const auto& transfer : transfers_) transfer->prepared_for = nullptr;
  for (auto& [name, endpoint] : before) retired_.push_back(std::move(endpoint));
  drop_retired();
}

// Their keys go with them.
void CurlTransport::drop_retired() {
  std::erase_if(retired_, [&](const std::unique_ptr<Endpoint>& old) {
    return std::none_of(flying_.begin(), flying_.end(),
                        [&](const auto& flying) { return flying.second->endpoint == old.get(); });
  });
}

CurlTransport::~CurlTransport() {
  for (const auto& [attempt, transfer] : flying_) {
    curl_multi_remove_handle(multi_->handle, transfer->easy);
  }
}

void CurlTransport::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(multi_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw world_error_from_errno("epoll");
  }
  multi_->watched.push_back(fd);
}

bool CurlTransport::has_connected(const Provider& provider) const {
  return endpoints_.at(provider.name)->is_connected;
}

CurlTransport::Transfer& CurlTransport::idle_transfer() {
  if (!idle_.empty()) {
    Transfer& transfer = *idle_.back();
    idle_.pop_back();
    return transfer;
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->owner = this;
  transfer->easy = curl_easy_init();
  if (transfer->easy == nullptr) throw WorldError("libcurl could not make a handle");
  transfers_.push_back(std::move(transfer));
  return *transfers_.back();
}

void CurlTransport::start(HttpRequest request) {
  Transfer& transfer = idle_transfer();
  transfer.request = std::move(request);
  transfer.endpoint = endpoints_.at(transfer.request.provider->name).get();
  transfer.reply = HttpReply{};
  transfer.sends = 0;
  transfer.is_oversize = transfer.has_payload = false;
  transfer.header_bytes = transfer.body_bytes = 0;
  transfer.kept_bytes = 0;
  transfer.status = 0;
  transfer.stream.reset();
  transfer.started_ms = transfer.sent_ms = transfer.last_payload_ms = clock_.now_ms();
  apply(transfer);
  flying_[transfer.request.attempt.value] = &transfer;
  const CURLMcode code = curl_multi_add_handle(multi_->handle, transfer.easy);
  if (code != CURLM_OK) throw WorldError(fmt::format("libcurl: {}", curl_multi_strerror(code)));
}

void CurlTransport::apply(Transfer& transfer) {
  CURL* easy = transfer.easy;
  const Endpoint& endpoint = *transfer.endpoint;
  if (transfer.prepared_for != &endpoint) prepare(transfer);
  transfer.error[0] = '\0';
  transfer.id_line =
      fmt::format("x-client-request-id: {}{}", options_.id_prefix, transfer.request.attempt.value);
  transfer.id_header = {transfer.id_line.data(), endpoint.headers.get()};
  std::string url = endpoint.provider->base_url + transfer.request.path + endpoint.query;
  if (url != transfer.url) {
    transfer.url = std::move(url);
    set(easy, CURLOPT_URL, transfer.url.c_str());
  }
  set(easy, CURLOPT_POSTFIELDS, transfer.request.body.data());  // not copied
  set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.request.body.size()));
}

// What all requests to an endpoint share. A handle carries nothing from one endpoint to another,
// nor past a reload.
void CurlTransport::prepare(Transfer& transfer) {
  CURL* easy = transfer.easy;
  const Provider& provider = *transfer.endpoint->provider;
  curl_easy_reset(easy);
  transfer.url.clear();
  set(easy, CURLOPT_PRIVATE, &transfer);
  set(easy, CURLOPT_ERRORBUFFER, transfer.error.data());
  set(easy, CURLOPT_POST, 1L);
  set(easy, CURLOPT_HTTPHEADER, &transfer.id_header);
  set(easy, CURLOPT_PREREQFUNCTION, &Transfer::on_send);
  set(easy, CURLOPT_PREREQDATA, &transfer);
  set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(easy, CURLOPT_HEADERDATA, &transfer);
  set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(easy, CURLOPT_WRITEDATA, &transfer);
  set(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(easy, CURLOPT_PROTOCOLS_STR, provider.base_url.starts_with("http:") ? "http" : "https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);  // an x-api-key would follow to another host
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // else a slow DNS answer stops the loop
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(provider.connect_timeout_ms));
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(provider.deadline_ms));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  set(easy, CURLOPT_TCP_KEEPINTVL, 15L);
  set(easy, CURLOPT_MAXAGE_CONN, 55L);
  set(easy, CURLOPT_MAXLIFETIME_CONN, 600L);
  set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 300L);
  set(easy, CURLOPT_ACCEPT_ENCODING, "");
  set(easy, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  set(easy, CURLOPT_USERAGENT, "docmill/" DOCMILL_VERSION);
  if (!provider.ca_file.empty()) set(easy, CURLOPT_CAINFO, provider.ca_file.c_str());
  if (provider.proxy == "none") {
    set(easy, CURLOPT_PROXY, "");
  } else if (!provider.proxy.empty()) {
    set(easy, CURLOPT_PROXY, provider.proxy.c_str());
  }
  transfer.prepared_for = transfer.endpoint;
}

void CurlTransport::cancel(AttemptId attempt) {
  const auto it = flying_.find(attempt.value);
  if (it == flying_.end()) return;
  end(*it->second, it->second->sends == 0 ? Exchange::not_sent : Exchange::aborted, "");
}

std::vector<Received> CurlTransport::take_received() {
  std::vector<Received> received;
  received.swap(received_);
  return received;
}

std::vector<std::string> CurlTransport::take_connected() {
  std::vector<std::string> connected;
  connected.swap(connected_);
  return connected;
}

void CurlTransport::wait(std::int64_t until_ms) {
  std::array<epoll_event, 256> events;
  const std::size_t connects = connected_.size();
  for (;;) {
    const std::int64_t now_ms = clock_.now_ms();
    if (multi_->timer_at_ms <= now_ms) {
      multi_->timer_at_ms = kNever;
      drive(CURL_SOCKET_TIMEOUT, 0);
    }
    if (next_silence_check_ms_ <= now_ms) end_silent();
    // Look at the sockets once more, but do not wait.
    if (!received_.empty() || connected_.size() != connects || now_ms >= until_ms) until_ms = 0;
    const std::int64_t wake_ms = std::min({until_ms, multi_->timer_at_ms, next_silence_check_ms_});
    const auto timeout_ms = std::clamp<std::int64_t>(wake_ms - now_ms, 0, 60'000);
    const int count = epoll_wait(multi_->epoll.get(), events.data(),
                                 static_cast<int>(events.size()), static_cast<int>(timeout_ms));
    if (count < 0 && errno != EINTR) throw world_error_from_errno("epoll_wait");
    bool is_called = count < 0;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const auto& watched = multi_->watched;
      if (std::find(watched.begin(), watched.end(), event.data.fd) != watched.end()) {
        is_called = true;
      } else {
        drive(event.data.fd, event.events);
      }
    }
    if (is_called || until_ms == 0 || connected_.size() != connects) return;
  }
}

void CurlTransport::drive(int fd, unsigned events) {
  int action = 0;
  if (events & EPOLLIN) action |= CURL_CSELECT_IN;
  if (events & EPOLLOUT) action |= CURL_CSELECT_OUT;
  if (events & (EPOLLERR | EPOLLHUP)) action |= CURL_CSELECT_ERR;
  int running = 0;
  const CURLMcode code = curl_multi_socket_action(multi_->handle, fd, action, &running);
  if (code != CURLM_OK && code != CURLM_BAD_SOCKET) {
    throw WorldError(fmt::format("libcurl: {}", curl_multi_strerror(code)));
  }
  collect();
}

void CurlTransport::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_->handle, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    Exchange exchange = transfer->sends == 0 ? Exchange::not_sent : Exchange::cut;
    if (code == CURLE_OK) {
      exchange = Exchange::complete;
    } else if (transfer->sends > 1) {
      exchange = Exchange::resend_stopped;
    } else if (transfer->is_oversize || (code == CURLE_OUT_OF_MEMORY && transfer->sends > 0)) {
      // The second: libcurl's own word for a header line over 100 KB.
      exchange = Exchange::oversize;
    } else if (is_certificate_fault(code)) {
      exchange = Exchange::certificate;
    } else if (code == CURLE_OPERATION_TIMEDOUT && transfer->sends > 0) {
      exchange = Exchange::deadline;
    } else if (code == CURLE_BAD_CONTENT_ENCODING) {
      exchange = Exchange::bad_encoding;
    }
    std::string detail;
    if (code != CURLE_OK && exchange != Exchange::oversize) {
      detail = transfer->error[0] != '\0' ? transfer->error.data() : curl_easy_strerror(code);
    }
    end(*transfer, exchange, std::move(detail));
  }
}

void CurlTransport::end(Transfer& transfer, Exchange exchange, std::string detail) {
  HttpReply& reply = transfer.reply;
  held_bytes_ -= transfer.kept_bytes;
  // Nobody reads the beginning of what has no end.
  if (exchange == Exchange::oversize) std::string().swap(reply.body);
  reply.exchange = exchange;
  reply.detail = printable_line(utf8_prefix(detail, 200));
  reply.received_at_ms = clock_.now_ms();
  long status = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  reply.total_ms = reply.received_at_ms - transfer.sent_ms;
  if (transfer.stream) reply.streamed = transfer.stream->take();
  curl_multi_remove_handle(multi_->handle, transfer.easy);
  // libcurl counts a handle's dying connections, and from the fifth on says "cut" without asking to
  // send again. Only a reset forgets them.
  if (exchange != Exchange::complete) transfer.prepared_for = nullptr;
  flying_.erase(transfer.request.attempt.value);
  options_.blame(transfer.request.job);
  received_.push_back(read_reply(transfer.request, std::move(reply), transfer.endpoint->key));
  options_.blame({});
  transfer.request = HttpRequest{};
  idle_.push_back(&transfer);
  if (!retired_.empty()) drop_retired();
}

void CurlTransport::end_silent() {
  const std::int64_t now_ms = clock_.now_ms();
  std::vector<Transfer*> silent;
  next_silence_check_ms_ = kNever;
  for (const auto& [attempt, transfer] : flying_) {
    if (transfer->sends == 0) continue;  // the connect timeout is libcurl's
    if (transfer->ends_at_ms() <= now_ms) {
      silent.push_back(transfer);
    } else {
      next_silence_check_ms_ = std::min(next_silence_check_ms_, transfer->ends_at_ms());
    }
  }
  for (Transfer* transfer : silent) {
    Exchange exchange = transfer->has_payload ? Exchange::stalled : Exchange::first_byte_timeout;
    if (transfer->too_slow_at_ms() <= now_ms) exchange = Exchange::too_slow;
    end(*transfer, exchange, "");
  }
}

}  // namespace docmill
