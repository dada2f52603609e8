#pragma once

// What usage costs. Tokens stand in buckets that do not overlap, prices are pico-USD per token,
// and cost is their exact product.

#include <cstdint>
#include <optional>
#include <string>

#include "base/strong_id.h"

namespace docmill {

// input = fresh + cached + cache_write; reasoning is a part of output, shown apart.
struct Usage {
  std::int64_t fresh_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t cache_write_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  std::int64_t input_tokens() const { return fresh_tokens + cached_tokens + cache_write_tokens; }
  bool operator==(const Usage&) const = default;
};

// Pico-USD per token, which is the same integer as micro-USD per million tokens.
struct ModelPrice {
  std::int64_t input_pusd = 0;
  std::int64_t cached_input_pusd = 0;
  std::int64_t cache_write_input_pusd = 0;
  std::int64_t output_pusd = 0;
  bool operator==(const ModelPrice&) const = default;
};

// A dated row of the store: what a model costs, by the tier that served it.
struct PriceRow {
  PriceId id;
  ModelPrice price;
  std::optional<ModelPrice> flex_price = std::nullopt;  // absent: the flex tier costs the same

  // The one that applies, by the tier that the reply names.
  const ModelPrice& for_tier(const std::string& service_tier) const;
};

// Every bucket is at most kMaxTokens and every rate at most kMaxPricePusd (base/money.h), so the
// result fits.
std::int64_t cost_pusd(const Usage& usage, const ModelPrice& price);

// The most that a request can cost: every input token at the dearest input rate, and the whole
// output limit; whichever tier serves it.
std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const ModelPrice& price);
std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const PriceRow& row);

}  // namespace docmill
