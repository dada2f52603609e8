// O_APPEND and a single write: lines of several simulators in one file do not mix.

#include "simulate/request_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace docmill::sim {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

std::string to_json(const LogLine& line) {
  const Json json{{"t_ms", line.t_ms},
                  {"n", line.n},
                  {"path", line.path},
                  {"model", line.model},
                  {"request_id", line.request_id},
                  {"client_request_id", text_or_null(line.client_request_id)},
                  {"doc", line.doc},
                  {"body_sha", line.body_sha},
                  {"fate", facts(line.fate).name},
                  {"status", line.status},
                  {"prompt_tokens", line.billed.prompt_tokens},
                  {"cached_tokens", line.billed.cached_tokens},
                  {"completion_tokens", line.billed.completion_tokens},
                  {"authorization_seen", line.authorization_seen}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

RequestLog::RequestLog(const std::string& path) {
  if (path.empty()) return;
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ >= 0) return;
  throw std::runtime_error(fmt::format("cannot open the log {}: {}", path, std::strerror(errno)));
}

RequestLog::~RequestLog() {
  if (fd_ >= 0) ::close(fd_);
}

void RequestLog::write(const LogLine& line) {
  if (fd_ < 0) return;
  const std::string text = to_json(line);
  ssize_t written = 0;
  do {
    written = ::write(fd_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written == std::ssize(text)) return;
  throw std::runtime_error(fmt::format("cannot write to the log: {}",
                                       written < 0 ? std::strerror(errno) : "no space for a line"));
}

}  // namespace docmill::sim
