#pragma once

// What usage costs. Tokens stand in buckets that do not overlap, prices are pico-USD per token,
// and cost is their exact product.
//
// A price has base rates and variants: by the tier that served the request, by the size of its
// input, by the hour at which it was sent. The whole request is priced by one set of rates, the one
// that fits best: the largest size first, then its own tier before any, then hours before always.
// (LiteLLM's rule for its sizes, litellm_core_utils/llm_cost_calc/utils.py; DeepSeek's for hours.)

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"

namespace docmill {

// input = fresh + cached + cache_write; reasoning is a part of output, shown apart; so is what is
// written to the cache for an hour a part of cache_write.
struct Usage {
  std::int64_t fresh_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t cache_write_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  std::int64_t cache_write_1h_tokens = 0;
  std::int64_t input_tokens() const { return fresh_tokens + cached_tokens + cache_write_tokens; }
  bool operator==(const Usage&) const = default;
};

void add(Usage& sum, const Usage& usage);

// Pico-USD per token, which is the same integer as micro-USD per million tokens.
struct ModelPrice {
  std::int64_t input_pusd = 0;
  std::int64_t cached_input_pusd = 0;
  std::int64_t cache_write_input_pusd = 0;
  std::int64_t output_pusd = 0;
  std::int64_t cache_write_1h_input_pusd = 0;  // below cache_write_input: the same as that
  bool operator==(const ModelPrice&) const = default;
};

struct PriceVariant {
  std::string service_tier;       // "flex", "batch", "priority"; empty: any
  std::int64_t above_tokens = 0;  // the input has more, cached tokens included
  std::string hours;              // UTC, store/hours.h; empty: always
  ModelPrice rates;
  bool operator==(const PriceVariant&) const = default;
};

struct Price {
  Price() = default;
  Price(const ModelPrice& rates) : base(rates) {}  // NOLINT: most prices have no variants
  ModelPrice base;
  std::vector<PriceVariant> variants;
  bool operator==(const Price&) const = default;

  // Priority is dearer than the base, so it has a price only where one is given for it.
  bool covers(const std::string& service_tier) const;
  const ModelPrice& rates(const std::string& service_tier, std::int64_t input_tokens,
                          std::int64_t at_ms) const;
};

// A dated row of the store.
struct PriceRow {
  PriceId id;
  Price price;
};

// Every bucket is at most kMaxTokens and every rate at most kMaxPricePusd (base/money.h), so the
// result fits.
std::int64_t cost_pusd(const Usage& usage, const ModelPrice& rates);
// As of a request that was sent then. Nothing: no price is known for that tier.
std::optional<std::int64_t> cost_pusd(const Usage& usage, const Price& price,
                                      const std::string& service_tier, std::int64_t at_ms);

// The most that a request can cost: every input token at the dearest input rate, and the whole
// output limit; at any hour, whichever tier serves it. Priority counts where it was asked for.
std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const ModelPrice& rates);
std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const Price& price, const std::string& asked_tier = {});

}  // namespace docmill
