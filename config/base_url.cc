#include "config/base_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.h"

namespace docmill {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::optional<std::string> part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return std::nullopt;
  const std::string copy(text);
  curl_free(text);
  return copy;
}

// libcurl has made 127.1 and 2130706433 into 127.0.0.1 by now.
bool is_loopback(std::string host) {
  if (lower_ascii(host) == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (host.size() < 2 || host.front() != '[') return false;
  host = host.substr(1, host.size() - 2);
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool is_plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string complaint_about_form(std::string_view text, const Url& url) {
  if (!is_plain_ascii(text)) return "has a blank, a control character or a letter beyond ASCII";
  if (text.find('\\') != std::string_view::npos) return "has a backslash";
  const std::string copy(text);
  const CURLUcode code =
      curl_url_set(url.get(), CURLUPART_URL, copy.c_str(), CURLU_NON_SUPPORT_SCHEME);
  if (code == CURLUE_BAD_SCHEME || text.find("://") == std::string_view::npos) {
    return "is not a whole URL, such as https://api.example.com/v1";
  }
  if (code != CURLUE_OK) return std::string("is not a URL: ") + curl_url_strerror(code);
  const std::string_view after_scheme = text.substr(text.find("://") + 3);
  const std::string_view authority = after_scheme.substr(0, after_scheme.find_first_of("/?#"));
  if (part(url, CURLUPART_USER) || authority.find('@') != std::string_view::npos) {
    return "has a user or password in it; a key goes into key_env or key_file";
  }
  if (text.find('#') != std::string_view::npos) return "has a fragment (#...)";
  if (text.find('?') != std::string_view::npos) {
    return "has a query (?...); write query = { name = \"value\" } beside it";
  }
  if (part(url, CURLUPART_PORT) == "0") return "has port 0";
  return "";
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

CheckedUrl check_base_url(std::string_view text, PlainHttp plain_http) {
  const Url url(curl_url());
  CheckedUrl checked;
  checked.complaint = complaint_about_form(text, url);
  if (!checked.complaint.empty()) return checked;
  const std::string scheme = part(url, CURLUPART_SCHEME).value_or("");
  if (scheme != "https" && scheme != "http") {
    checked.complaint = "must begin with https://";
    return checked;
  }
  if (scheme == "http" && plain_http == PlainHttp::loopback_only &&
      !is_loopback(part(url, CURLUPART_HOST).value_or(""))) {
    checked.complaint =
        "would send key and documents unencrypted; write https://, or allow_http = true beside it";
    return checked;
  }
  std::string whole = part(url, CURLUPART_URL).value_or("");
  while (ends_with(whole, "/")) whole.pop_back();
  for (const std::string_view endpoint : {"/chat/completions", "/messages"}) {
    if (!ends_with(whole, endpoint)) continue;
    checked.complaint = "must end before " + std::string(endpoint) + ", which docmill adds";
    return checked;
  }
  checked.url = whole;
  return checked;
}

CheckedUrl check_proxy_url(std::string_view text) {
  const Url url(curl_url());
  CheckedUrl checked;
  checked.complaint = complaint_about_form(text, url);
  if (!checked.complaint.empty()) return checked;
  constexpr std::array<std::string_view, 6> kSchemes = {"http",    "https",  "socks4",
                                                        "socks4a", "socks5", "socks5h"};
  const std::string scheme = part(url, CURLUPART_SCHEME).value_or("");
  if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) {
    checked.complaint = "must begin with http://, https://, socks5:// or socks5h://";
    return checked;
  }
  checked.url = part(url, CURLUPART_URL).value_or("");
  while (ends_with(checked.url, "/")) checked.url.pop_back();
  return checked;
}

}  // namespace docmill
