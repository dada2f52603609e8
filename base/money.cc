#include "base/money.h"

#include <fmt/format.h>

#include <cmath>

namespace docmill {
namespace {

// The amount with exactly `decimals` decimals, rounded half away from zero.
std::string rounded_usd(std::int64_t amount_pusd, int decimals) {
  std::int64_t unit = kPusdPerUsd;
  for (int i = 0; i < decimals; ++i) unit /= 10;
  const bool negative = amount_pusd < 0;
  const auto magnitude = static_cast<std::uint64_t>(negative ? -amount_pusd : amount_pusd);
  const std::uint64_t units =
      (magnitude + static_cast<std::uint64_t>(unit) / 2) / static_cast<std::uint64_t>(unit);
  const auto per_usd = static_cast<std::uint64_t>(kPusdPerUsd / unit);
  std::string whole = std::to_string(units / per_usd);
  for (auto i = static_cast<int>(whole.size()) - 3; i > 0; i -= 3) {
    whole.insert(static_cast<std::size_t>(i), ",");
  }
  std::string text = fmt::format("{}${}", negative ? "-" : "", whole);
  if (decimals > 0) text += fmt::format(".{:0{}}", units % per_usd, decimals);
  return text;
}

}  // namespace

std::string exact_usd(std::int64_t amount_pusd) {
  const bool negative = amount_pusd < 0;
  const auto magnitude = negative ? ~static_cast<std::uint64_t>(amount_pusd) + 1
                                  : static_cast<std::uint64_t>(amount_pusd);
  std::string text = fmt::format("{}{}.{:012}", negative ? "-" : "", magnitude / kPusdPerUsd,
                                 magnitude % kPusdPerUsd);
  const std::size_t shortest = text.find('.') + 3;
  while (text.size() > shortest && text.back() == '0') text.pop_back();
  return text;
}

std::string human_usd(std::int64_t amount_pusd) {
  const std::int64_t magnitude = amount_pusd < 0 ? -amount_pusd : amount_pusd;
  if (magnitude == 0 || magnitude >= kPusdPerUsd) return rounded_usd(amount_pusd, 2);
  if (magnitude >= kPusdPerUsd / 1000) return rounded_usd(amount_pusd, 4);
  return rounded_usd(amount_pusd, 6);
}

std::string column_usd(std::int64_t amount_pusd) {
  return rounded_usd(amount_pusd, 4);
}

std::string Currency::text(std::int64_t amount_pusd) const {
  if (code == "USD") return human_usd(amount_pusd);
  const double amount = static_cast<double>(amount_pusd) / kPusdPerUsd * per_usd;
  const double magnitude = std::abs(amount);
  const int decimals = magnitude == 0 || magnitude >= 1 ? 2 : magnitude >= 0.001 ? 4 : 6;
  return fmt::format("{} {:.{}f}", code, amount, decimals);
}

std::string Currency::column(std::int64_t amount_pusd) const {
  if (code == "USD") return column_usd(amount_pusd);
  return fmt::format("{} {:.4f}", code, static_cast<double>(amount_pusd) / kPusdPerUsd * per_usd);
}

std::optional<std::int64_t> parse_usd(std::string_view text) {
  if (!text.empty() && text.front() == '$') text.remove_prefix(1);
  std::int64_t whole = 0;
  std::int64_t fraction = 0;
  std::int64_t unit = kPusdPerUsd;
  bool in_fraction = false;
  bool any_digit = false;
  for (const char c : text) {
    if (c == '.' && !in_fraction) {
      in_fraction = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any_digit = true;
    if (!in_fraction) {
      whole = whole * 10 + (c - '0');
      if (whole > 9'000'000) return std::nullopt;
    } else {
      unit /= 10;
      if (unit == 0) return std::nullopt;
      fraction += unit * (c - '0');
    }
  }
  if (!any_digit) return std::nullopt;
  return whole * kPusdPerUsd + fraction;
}

std::optional<std::int64_t> add_pusd(std::int64_t a_pusd, std::int64_t b_pusd) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a_pusd, b_pusd, &sum)) return std::nullopt;
  return sum;
}

}  // namespace docmill
