#pragma once

// What came back for one request, before anybody has looked into it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "llm/stream.h"

namespace docmill {

// How the exchange ended, as far as the network can tell.
enum class Exchange {
  complete,            // status, headers and a body that is as long as it said
  not_sent,            // no connection, so no byte of the request left
  certificate,         // no connection, because the certificate or its configuration is wrong
  first_byte_timeout,  // sent; no payload came
  stalled,             // payload began and stopped; keep-alives are not payload
  deadline,            // the absolute one
  too_slow,            // the link's max_latency
  cut,                 // the connection was lost before the reply was whole
  resend_stopped,      // libcurl wanted to send the request again by itself, and was not let
  oversize,            // the reply passed the limit
  bad_encoding,        // a compressed body that does not decompress
  aborted,             // ended by us
};

struct Header {
  std::string name;  // lower case
  std::string value;
};

struct HttpReply {
  Exchange exchange = Exchange::complete;
  std::string detail;  // libcurl's words when the exchange was not complete
  int status = 0;      // 0: no status line came
  std::vector<Header> headers;
  std::string body;
  std::optional<StreamedReply> streamed;  // in place of the body, when it came as a stream
  std::int64_t received_at_ms = 0;
  std::int64_t first_byte_ms = -1;  // since sending; -1: none came
  std::int64_t total_ms = 0;        // since sending

  // Empty when it is missing.
  const std::string& header(const std::string& name) const;
};

}  // namespace docmill
