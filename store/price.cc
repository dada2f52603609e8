#include "store/price.h"

#include <algorithm>

#include "base/check.h"
#include "base/money.h"

namespace docmill {
namespace {

std::int64_t product(std::int64_t tokens, std::int64_t rate_pusd) {
  CHECK(tokens >= 0 && tokens <= kMaxTokens);
  CHECK(rate_pusd >= 0 && rate_pusd <= kMaxPricePusd);
  return tokens * rate_pusd;
}

}  // namespace

std::int64_t cost_pusd(const Usage& usage, const ModelPrice& price) {
  return product(usage.fresh_tokens, price.input_pusd) +
         product(usage.cached_tokens, price.cached_input_pusd) +
         product(usage.cache_write_tokens, price.cache_write_input_pusd) +
         product(usage.output_tokens, price.output_pusd);
}

std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const ModelPrice& price) {
  const std::int64_t dearest_input_pusd =
      std::max({price.input_pusd, price.cached_input_pusd, price.cache_write_input_pusd});
  return product(max_input_tokens, dearest_input_pusd) +
         product(max_output_tokens, price.output_pusd);
}

std::int64_t ceiling_pusd(std::int64_t max_input_tokens, std::int64_t max_output_tokens,
                          const PriceRow& row) {
  const std::int64_t standard_pusd = ceiling_pusd(max_input_tokens, max_output_tokens, row.price);
  if (!row.flex_price) return standard_pusd;
  return std::max(standard_pusd,
                  ceiling_pusd(max_input_tokens, max_output_tokens, *row.flex_price));
}

const ModelPrice& PriceRow::for_tier(const std::string& service_tier) const {
  return service_tier == "flex" && flex_price ? *flex_price : price;
}

}  // namespace docmill
