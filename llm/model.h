#pragma once

// Providers and models as the config names them, and the chains built from models. Values only.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/price.h"

namespace docmill {

enum class Dialect { openai, anthropic };
enum class Auth { bearer, api_key };

// What may be sent a minute; absent: no limit but what replies teach. `tokens` counts both ways,
// for providers that do; a reserved answer counts with its whole output limit until it is there.
struct Rates {
  std::optional<double> requests;
  std::optional<double> tokens;
  std::optional<double> input_tokens;
  std::optional<double> output_tokens;
};

inline constexpr int kDefaultInFlight = 100;

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
  Rates per_minute;
  double burst_seconds = 2.0;    // seconds' worth of a rate that may go at once
  std::optional<int> in_flight;  // absent: kDefaultInFlight, reached step by step
  std::int64_t connect_timeout_ms = 10'000;
  // Absent: two minutes for a streamed answer (the first delta comes soon), else the deadline.
  std::optional<std::int64_t> first_byte_timeout_ms;
  std::int64_t progress_timeout_ms = 60'000;
  std::int64_t deadline_ms = 600'000;
  std::string region;
  std::string proxy;  // empty: as the environment says; "none": no proxy
  std::string ca_file;
  bool allow_http = false;
  bool bills_errors = false;  // every 5xx may have been billed
};

enum class JsonMode { schema, object, none };

// Members of a request by which the provider bills what no count of its bytes bounds.
inline constexpr std::array kUnboundedKeys = {
    "web_search_options", "plugins",   "modalities", "audio", "best_of", "prediction",
    "mcp_servers",        "container", "models",     "route", "provider"};

struct Model {
  std::string key;                  // as config, chains and reports name it
  std::string provider;             // a Provider's name
  std::string name;                 // what the provider calls it
  std::optional<Price> price;       // absent: unpriced
  std::string price_origin;         // as store/price_list.h names it; empty: "config"
  std::string price_source;         // "docmill.toml:31", or the list's own name
  std::int64_t price_since_ms = 0;  // of a list
  std::int64_t context_tokens = 131'072;
  std::int64_t max_output_tokens = 8'192;
  std::optional<double> temperature;  // absent: not sent
  JsonMode json = JsonMode::object;
  std::string max_tokens_field = "max_tokens";
  std::string extra_body;  // a JSON object's text that is merged into the request; empty: none
  // Of extra_body, the key that makes the provider bill what no ceiling knows: tools, plugins,
  // other media. Empty: none does.
  std::string unbounded_key;
  bool stream = false;
  bool unbounded_reasoning = false;           // its output limit does not bound what it bills
  std::string service_tier;                   // asked for
  std::optional<std::int64_t> shuts_down_ms;  // when its vendor ends it; check says so before
  std::string pin;                            // the model that must be returned; empty: any
  std::string tokenizer;  // as llm/tokenizer.h names it; empty: tokens by script
  Rates per_minute;
  std::optional<int> in_flight;
};

// How a request to a model is written. It begins as the config says; a reply that refuses one of
// these teaches the other form, for the worker's life.
struct Form {
  std::string max_tokens_field;
  bool has_temperature = false;
  JsonMode json = JsonMode::object;
  bool stream = false;
  bool operator==(const Form&) const = default;
};

Form form_of(const Model& model);

// Why a request to the model has no bound on what it may cost. Empty: it has one.
std::string unbounded_reason(const Model& model);

using Providers = std::map<std::string, Provider>;
using Models = std::map<std::string, Model>;

// One place of a chain: a model by its key, and when to leave it for the next.
struct Link {
  Link(std::string model_key) : model(std::move(model_key)) {}  // NOLINT: a key is a plain link
  Link(const char* model_key) : model(model_key) {}             // NOLINT
  std::string model;
  std::optional<std::int64_t> max_latency_ms;  // an attempt that takes longer is cut
  std::optional<std::int64_t> max_wait_ms;     // its lane is this far behind: the next model
  bool operator==(const Link&) const = default;
};
using Chain = std::vector<Link>;

}  // namespace docmill
