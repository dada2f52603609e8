// A client of the simulator for tests: libcurl, one reply as it was heard, and a simulator that
// runs on its own thread.

#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "simulate/simulator.h"

namespace docmill::simulate_test {

using nlohmann::json;

struct Heard {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::size_t most_bytes = std::size_t{1} << 30;

  json parsed() const { return json::parse(body); }
  std::string content() const {
    return parsed().at("choices").at(0).at("message").at("content").get<std::string>();
  }
};

// One request in libcurl's hands; it stays where it was made, because libcurl points to it.
class Call {
 public:
  Call(const std::string& url, std::string body, long timeout_ms,
       const std::vector<std::string>& headers);
  ~Call() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void perform() { finish(curl_easy_perform(easy_)); }
  void finish(CURLcode code) {
    heard.code = code;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &heard.status);
  }
  CURL* easy() const { return easy_; }

  Heard heard;

 private:
  CURL* easy_;
  std::string body_;
  curl_slist* headers_ = nullptr;
};

std::string chat(const std::string& model, const std::string& user,
                 nlohmann::json more = nlohmann::json::object());

// A simulator on a thread of its own, and a directory for its log.
class Running {
 public:
  explicit Running(SimulatorOptions options = {}) {
    char pattern[] = "/tmp/docmill_simulate_XXXXXX";
    directory_ = ::mkdtemp(pattern);
    options.log_path = directory_ / "log.jsonl";
    simulator_ = std::make_unique<Simulator>(std::move(options));
    thread_ = std::thread([this] { simulator_->run(); });
  }
  ~Running() {
    stop();
    std::filesystem::remove_all(directory_);
  }

  // Counters may be read from here on.
  const Simulator& stop() {
    simulator_->stop();
    if (thread_.joinable()) thread_.join();
    return *simulator_;
  }

  std::string url(const std::string& path = "/v1/chat/completions") const {
    return "http://127.0.0.1:" + std::to_string(simulator_->port()) + path;
  }

  Heard send(const std::string& body, long timeout_ms = 5000,
             const std::vector<std::string>& headers = {}) const {
    Call call(url(), body, timeout_ms, headers);
    call.perform();
    return call.heard;
  }

  Heard ask(const std::string& model, const std::string& user, json more = json::object()) const {
    return send(chat(model, user, std::move(more)));
  }

  Heard get(const std::string& path) const {
    Call call(url(path), "", 5000, {});
    call.perform();
    return call.heard;
  }

  // All at once, each on its own connection until one becomes free.
  std::vector<Heard> send_together(const std::vector<std::string>& bodies) const;

  std::vector<json> log() const {
    std::vector<json> lines;
    std::ifstream file(directory_ / "log.jsonl");
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }

 private:
  std::filesystem::path directory_;
  std::unique_ptr<Simulator> simulator_;
  std::thread thread_;
};

// All requests meet the mix, drawn from this seed.
SimulatorOptions with_mix(std::string_view mix, std::uint64_t seed = 1);

std::string text_of_length(std::size_t bytes);

}  // namespace docmill::simulate_test
