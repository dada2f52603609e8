#pragma once

// Providers and models as the config names them, and the chains built from models. Values only.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/price.h"

namespace docmill {

enum class Dialect { openai, anthropic };
enum class Auth { bearer, api_key };

struct Provider {
  std::string name;
  Dialect dialect = Dialect::openai;
  std::string base_url;  // scheme, host, port, path; no trailing slash; checked by the config
  std::string key_env;   // at most one of the three
  std::string key_file;
  std::string key_credential;
  Auth auth = Auth::bearer;
  std::map<std::string, std::string> headers;
  std::map<std::string, std::string> query;
  std::optional<double> requests_per_minute;  // absent: no limit
  double burst_seconds = 2.0;                 // seconds' worth of the rate that may go at once
  int in_flight = 100;
  std::int64_t connect_timeout_ms = 10'000;
  std::optional<std::int64_t> first_byte_timeout_ms;  // absent: the deadline
  std::int64_t progress_timeout_ms = 60'000;
  std::int64_t deadline_ms = 600'000;
  std::string region;
  std::string proxy;  // empty: as the environment says; "none": no proxy
  std::string ca_file;
  bool allow_http = false;
  bool bills_errors = false;  // every 5xx may have been billed
};

enum class JsonMode { schema, object, none };

struct Model {
  std::string key;                  // as config, chains and reports name it
  std::string provider;             // a Provider's name
  std::string name;                 // what the provider calls it
  std::optional<ModelPrice> price;  // absent: unpriced
  std::int64_t context_tokens = 131'072;
  std::int64_t max_output_tokens = 8'192;
  std::optional<double> temperature;  // absent: not sent
  JsonMode json = JsonMode::object;
  std::string max_tokens_field = "max_tokens";
  std::string extra_body;  // a JSON object's text that is merged into the request; empty: none
  std::optional<double> requests_per_minute;
  std::optional<int> in_flight;
};

using Providers = std::map<std::string, Provider>;
using Models = std::map<std::string, Model>;

// The models of a chain, in order, by key.
using Chain = std::vector<std::string>;

}  // namespace docmill
