#include "store/price.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/money.h"
#include "store/hours.h"

namespace docmill {
namespace {

std::int64_t product(std::int64_t tokens, std::int64_t rate_pusd) {
  CHECK(tokens >= 0 && tokens <= kMaxTokens);
  CHECK(rate_pusd >= 0 && rate_pusd <= kMaxPricePusd);
  return tokens * rate_pusd;
}

}  // namespace

void add(Usage& sum, const Usage& usage) {
  sum.fresh_tokens += usage.fresh_tokens;
  sum.cached_tokens += usage.cached_tokens;
  sum.cache_write_tokens += usage.cache_write_tokens;
  sum.output_tokens += usage.output_tokens;
  sum.reasoning_tokens += usage.reasoning_tokens;
  sum.cache_write_1h_tokens += usage.cache_write_1h_tokens;
}

std::int64_t cost_pusd(const Usage& usage, const ModelPrice& rates) {
  CHECK(usage.cache_write_1h_tokens <= usage.cache_write_tokens);
  const std::int64_t hour_rate_pusd =
      std::max(rates.cache_write_1h_input_pusd, rates.cache_write_input_pusd);
  return product(usage.fresh_tokens, rates.input_pusd) +
         product(usage.cached_tokens, rates.cached_input_pusd) +
         product(usage.cache_write_tokens - usage.cache_write_1h_tokens,
                 rates.cache_write_input_pusd) +
         product(usage.cache_write_1h_tokens, hour_rate_pusd) +
         product(usage.output_tokens, rates.output_pusd);
}

std::optional<std::int64_t> cost_pusd(const Usage& usage, const Price& price,
                                      const std::string& service_tier, std::int64_t at_ms) {
  // OpenAI's own word for priority in some replies.
  const std::string tier = service_tier == "fast" ? "priority" : service_tier;
  if (!price.covers(tier)) return std::nullopt;
  return cost_pusd(usage, price.rates(tier, usage.input_tokens(), at_ms));
}

bool Price::covers(const std::string& service_tier) const {
  if (service_tier != "priority") return true;
  return std::any_of(variants.begin(), variants.end(),
                     [](const PriceVariant& v) { return v.service_tier == "priority"; });
}

const ModelPrice& Price::rates(const std::string& service_tier, std::int64_t input_tokens,
                               std::int64_t at_ms) const {
  const ModelPrice* best = &base;
  std::tuple<std::int64_t, bool, bool> best_fit{0, false, false};
  for (const PriceVariant& variant : variants) {
    if (variant.above_tokens > 0 && input_tokens <= variant.above_tokens) continue;
    if (!variant.service_tier.empty() && variant.service_tier != service_tier) continue;
    if (!variant.hours.empty() && !is_within(variant.hours, at_ms)) continue;
    const std::tuple fit{variant.above_tokens, !variant.service_tier.empty(),
                         !variant.hours.empty()};
    if (fit <= best_fit) continue;
    best = &variant.rates;
    best_fit = fit;
  }
  return *best;
}

std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const ModelPrice& rates) {
  const std::int64_t dearest_input_pusd =
      std::max({rates.input_pusd, rates.cached_input_pusd, rates.cache_write_input_pusd,
                rates.cache_write_1h_input_pusd});
  return product(max_input_tokens, dearest_input_pusd) +
         product(max_output_tokens, rates.output_pusd);
}

std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const Price& price, const std::string& asked_tier) {
  std::int64_t most_pusd = ceiling_pusd(max_input_tokens, max_output_tokens, price.base);
  for (const PriceVariant& variant : price.variants) {
    if (variant.service_tier == "priority" && asked_tier != "priority") continue;
    if (variant.above_tokens > 0 && max_input_tokens <= variant.above_tokens) continue;
    most_pusd =
        std::max(most_pusd, ceiling_pusd(max_input_tokens, max_output_tokens, variant.rates));
  }
  return most_pusd;
}

}  // namespace docmill
