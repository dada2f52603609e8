#pragma once

// Money is an integer number of pico-USD (1e-12 USD) in int64, up to 9.2 million USD. A price in
// micro-USD per million tokens is the same integer in pico-USD per token, so tokens x price is a
// cost without rounding. The names of such values end in _pusd.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace docmill {

inline constexpr std::int64_t kPusdPerUsd = 1'000'000'000'000;

// The bounds that keep every product and sum below within int64: usage above kMaxTokens is not
// believed, and a price above kMaxPricePusd ($1,000 per million tokens) is refused.
inline constexpr std::int64_t kMaxTokens = 1'000'000'000;
inline constexpr std::int64_t kMaxPricePusd = 1'000'000'000;

// Every digit and no exponent: "0.000001260", never rounded; at least two decimals ("25.00").
std::string exact_usd(std::int64_t amount_pusd);

// Rounded for people: "$18.24", "$0.0164", "$0.000004".
std::string human_usd(std::int64_t amount_pusd);
// Rounded to four decimals, for columns.
std::string column_usd(std::int64_t amount_pusd);

// For display: "EUR 16.78" at so many euros per USD.
struct Currency {
  std::string code = "USD";
  double per_usd = 1;
  std::string text(std::int64_t amount_pusd) const;    // as human_usd
  std::string column(std::int64_t amount_pusd) const;  // as column_usd
};

// Reads "25", "25.00", "0.042", "$5". Nothing for what is not a plain decimal, has more than 12
// decimals, or does not fit.
std::optional<std::int64_t> parse_usd(std::string_view text);

// a + b, or nothing when it does not fit.
std::optional<std::int64_t> add_pusd(std::int64_t a_pusd, std::int64_t b_pusd);

}  // namespace docmill
