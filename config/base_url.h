#pragma once

// Where documents and keys are sent. A base_url is read by libcurl's own parser, the one that will
// send to it, so that what was checked is what is used.

#include <optional>
#include <string>
#include <string_view>

namespace docmill {

// Either the URL as libcurl understands it, without a trailing slash, or what is wrong with it.
// The complaint never repeats the URL: a mistaken one may hold a password.
struct CheckedUrl {
  std::string url;
  std::string complaint;  // empty: the URL is good
};

enum class PlainHttp { loopback_only, anywhere };

CheckedUrl check_base_url(std::string_view text, PlainHttp plain_http);
// http, https and SOCKS; a proxy is a host and a port, no more.
CheckedUrl check_proxy_url(std::string_view text);

}  // namespace docmill
