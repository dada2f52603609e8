#pragma once

// What a batch will take, told before anything is sent: tokens, cost, time, and what binds.
//
//   input   counted (llm/tokenizers.h), and corrected by what the provider has reported before
//   output  what answers to this task have had before, else what its kind usually has; at most the
//           request's limit
//   cost    those at the prices of the first model, without a cache, at this hour
//   time    the slowest of the limits that the config sets
//
// Fallbacks and retries are not in it: each range ends where every answer uses its whole limit.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llm/tokenizers.h"
#include "store/reader.h"
#include "tasks/batch_spec.h"

namespace docmill {

struct Range {
  std::int64_t low = 0;
  std::int64_t expected = 0;
  std::int64_t high = 0;
  Range& operator+=(const Range& other);
};

struct BatchEstimate {
  std::int64_t documents = 0;
  // Documents that no model of their chain takes as a whole; their pieces, and what combines those.
  std::int64_t long_documents = 0, pieces = 0, combining = 0;
  Range input_tokens;
  Range output_tokens;
  Range cost_pusd;
  bool is_unpriced = false;  // a first model has no price, and the cost leaves it out
  bool is_exact = true;      // every input was counted by its model's own tokenizer
  // All of it on another model, expected; the chain's first, then the cheapest.
  std::vector<std::pair<std::string, std::int64_t>> elsewhere_pusd;
  std::string dearest;  // a document's id; empty: unpriced
  std::int64_t dearest_pusd = 0;
  std::int64_t largest_ceiling_pusd = 0;  // the most that one request reserves under a cap
  std::int64_t time_ms = 0;
  std::string bound_by;  // "tokens/min of acme (4,000,000)"
  bool is_timed = true;  // answers of every first model have been timed before
};

class Estimator {
 public:
  struct World {
    const Models& models;
    const Providers& providers;
    int in_flight = 64;                // of the worker
    std::vector<EstimateRecord> past;  // by task and model
    std::int64_t now_ms = 0;           // for prices by the hour
  };
  // All that `world` refers to must outlive it, as must `tokenizers`.
  Estimator(World world, Tokenizers& tokenizers);

  // A document that takes this route.
  void add(const BatchSpec& spec, const Route& route, const std::string& id,
           const std::string& text);
  BatchEstimate result() const;

 private:
  struct Load {  // of a model, or of a provider
    double requests = 0, input_tokens = 0, output_tokens = 0, busy_ms = 0;
  };
  struct Learnt {  // from requests that were answered before; of none: `requests` is 0
    std::int64_t requests = 0;
    double tokens_per_estimate = 1, spread = 0;
    double output_tokens = 0, latency_ms = 0;
  };
  struct Expected {
    Range input, output;
    double requests = 1;
  };
  const Model& model_for(const BatchSpec& spec, const Route& route, const ChatRequest& request);
  bool is_too_long(const BatchSpec& spec, const ChatRequest& request, const Model& model);
  void add_pieces(const BatchSpec& spec, const Model& model, const ChatRequest& request,
                  Expected& tokens);
  Learnt learnt(const std::string& task, const std::string& model) const;
  Expected expected(const BatchSpec& spec, const Learnt& past, const TokenCount& input,
                    std::int64_t limit) const;
  void add_cost(const BatchSpec& spec, const Model& model, const std::string& id,
                const std::string& text, const Expected& tokens);
  void add_elsewhere(const Chain& chain, const Expected& tokens);

  World world_;
  Tokenizers& tokenizers_;
  BatchEstimate sum_;
  std::map<std::string, std::int64_t> elsewhere_pusd_;
  std::vector<std::string> in_chain_;  // in its order
  std::map<std::string, Load> loads_;  // by model
  std::size_t largest_bytes_ = 0;
};

}  // namespace docmill
