#include "worker/endpoint.h"

#include "base/check.h"

namespace docmill {
namespace {

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  CHECK(longer != nullptr);
  static_cast<void>(list.release());
  list.reset(longer);
}

std::string escaped(const std::string& text) {
  const std::unique_ptr<char, decltype(&curl_free)> out(
      curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size())), &curl_free);
  return out.get();
}

std::string query_of(const Provider& provider) {
  std::string query;
  for (const auto& [name, value] : provider.query) {
    query += (query.empty() ? "?" : "&") + escaped(name) + "=" + escaped(value);
  }
  return query;
}

}  // namespace

Endpoint::Endpoint(const Provider& of, const Key* with) : provider(&of), query(query_of(of)) {
  append(headers, "Content-Type: application/json");
  append(headers, "Expect:");  // else a large body waits a second for a 100
  for (const auto& [header, value] : of.headers) {
    append(headers, header + ": " + value);
  }
  if (of.dialect == Dialect::anthropic) {
    append(headers, "anthropic-version: 2023-06-01");
  }
  if (with != nullptr && !with->secret.is_empty()) {
    const std::string& secret = with->secret.reveal();
    key = Secret(secret);
    const char* custom = of.dialect == Dialect::anthropic ? "x-api-key: " : "api-key: ";
    const bool bearer = of.auth == Auth::bearer && of.dialect == Dialect::openai;
    append(headers, (bearer ? "Authorization: Bearer " : custom) + secret);
  }
}

}  // namespace docmill
