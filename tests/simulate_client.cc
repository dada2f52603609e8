// libcurl's side of the simulator's tests.

#include "tests/simulate_client.h"

#include <unistd.h>

#include <algorithm>

namespace docmill::simulate_test {
namespace {

std::size_t on_bytes(char* bytes, std::size_t, std::size_t size, void* heard_at) {
  Heard& heard = *static_cast<Heard*>(heard_at);
  heard.body.append(bytes, size);
  return heard.body.size() > heard.most_bytes ? 0 : size;
}

std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* heard_at) {
  const std::string line(bytes, size);
  const std::size_t colon = line.find(':');
  if (colon == std::string::npos) return size;
  std::string name = line.substr(0, colon);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::size_t end = line.find_last_not_of("\r\n") + 1;
  const std::size_t begin = std::min(line.find_first_not_of(' ', colon + 1), end);
  static_cast<Heard*>(heard_at)->headers[name] = line.substr(begin, end - begin);
  return size;
}

}  // namespace

Call::Call(const std::string& url, std::string body, long timeout_ms,
           const std::vector<std::string>& headers)
    : easy_(curl_easy_init()), body_(std::move(body)) {
  for (const std::string& header : headers) {
    headers_ = curl_slist_append(headers_, header.c_str());
  }
  headers_ = curl_slist_append(headers_, "Expect:");
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &on_bytes);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &heard);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, &heard);
  if (body_.empty()) return;
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body_.c_str());
}

std::string chat(const std::string& model, const std::string& user, json more) {
  json body{
      {"model", model},
      {"messages",
       {{{"role", "system"}, {"content", "Sum up."}}, {{"role", "user"}, {"content", user}}}}};
  body.update(more);
  return body.dump();
}

std::vector<Heard> Running::send_together(const std::vector<std::string>& bodies) const {
  std::vector<std::unique_ptr<Call>> calls;
  std::map<CURL*, Call*> by_handle;
  CURLM* multi = curl_multi_init();
  for (const std::string& body : bodies) {
    Call& call =
        *calls.emplace_back(std::make_unique<Call>(url(), body, 5000L, std::vector<std::string>{}));
    by_handle[call.easy()] = &call;
    curl_multi_add_handle(multi, call.easy());
  }
  for (int running = 1; running > 0;) {
    curl_multi_perform(multi, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      by_handle.at(message->easy_handle)->finish(message->data.result);
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  std::vector<Heard> replies;
  for (const std::unique_ptr<Call>& call : calls) {
    curl_multi_remove_handle(multi, call->easy());
    replies.push_back(call->heard);
  }
  curl_multi_cleanup(multi);
  return replies;
}

SimulatorOptions with_mix(std::string_view mix, std::uint64_t seed) {
  SimulatorOptions options;
  options.mix = SimulatorOptions::parse_mix(mix);
  options.seed = seed;
  return options;
}

std::string text_of_length(std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) text += "word" + std::to_string(i) + " ";
  return text;
}

}  // namespace docmill::simulate_test
