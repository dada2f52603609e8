// What the simulator was asked and what it made of it, a JSON object a line. The log is the truth
// that a client's own books are held against: a line is written, whole and with one write(2),
// before the first byte of its reply. It is not synced; it outlives the process, not the machine.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "simulate/answer.h"
#include "simulate/fate.h"

namespace docmill::sim {

struct LogLine {
  std::int64_t t_ms = 0;  // since 1970 UTC
  std::uint64_t n = 0;    // of the request, from 1
  std::string path;
  std::string model;                             // as asked; empty where it could not be read
  std::string request_id;                        // as in the reply's x-request-id
  std::optional<std::string> client_request_id;  // of the header x-client-request-id
  std::string doc;                               // 16 hex digits of the user text's SHA-256
  std::string body_sha;                          // 16 hex digits
  Fate fate = Fate::answer;
  int status = 0;  // 0: there was no reply
  SimulatedUsage billed;
  bool authorization_seen = false;  // never the key itself
};

class RequestLog {
 public:
  // Appends to the file. An empty path: nothing is logged. Throws std::runtime_error.
  explicit RequestLog(const std::string& path);
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  // When it returns, other processes see the line. Throws std::runtime_error.
  void write(const LogLine& line);

 private:
  int fd_ = -1;
};

}  // namespace docmill::sim
