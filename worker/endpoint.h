#pragma once

// A provider as libcurl needs it: what is the same for all of its requests.

#include <curl/curl.h>

#include <memory>
#include <string>

#include "llm/model.h"
#include "worker/keys.h"

namespace docmill {

struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListFree>;

struct Endpoint {
  // `key` null: none is sent. The provider must outlive it.
  Endpoint(const Provider& provider, const Key* key);

  const Provider* provider;
  std::string query;
  HeaderList headers;
  Secret key;
  bool is_connected = false;  // a request went out once, so the name is in the DNS cache
};

}  // namespace docmill
