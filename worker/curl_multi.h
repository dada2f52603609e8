#pragma once

// libcurl's multi handle with the epoll set that holds its sockets and the one timer it asks for.

#include <curl/curl.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "base/clock.h"
#include "base/file.h"

namespace docmill {

struct CurlMulti {
  // `clock` must outlive it.
  explicit CurlMulti(const Clock& clock);
  ~CurlMulti();
  CurlMulti(const CurlMulti&) = delete;

  CURLM* handle;
  Fd epoll;
  const Clock& clock;
  std::int64_t timer_at_ms = std::numeric_limits<std::int64_t>::max();  // max: none
  std::vector<int> watched;  // descriptors that are not libcurl's
};

}  // namespace docmill
