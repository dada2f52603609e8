#include "report/page_text.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

constexpr const char* kNoBreakSpace = "\u00a0";

// Where the characters of a printable text begin, and its end.
std::vector<std::size_t> character_starts(const std::string& text) {
  std::vector<std::size_t> starts;
  for (auto it = text.begin(); it != text.end(); utf8::unchecked::next(it)) {
    starts.push_back(static_cast<std::size_t>(it - text.begin()));
  }
  starts.push_back(text.size());
  return starts;
}

ShownText shortened(std::string_view text, std::size_t head, std::size_t tail) {
  ShownText out{printable_line(text), ""};
  const std::vector<std::size_t> starts = character_starts(out.shown);
  const std::size_t characters = starts.size() - 1;
  if (characters <= head + tail + 1) return out;
  out.full = out.shown;
  out.shown = out.full.substr(0, starts[head]) + "…" + out.full.substr(starts[characters - tail]);
  return out;
}

}  // namespace

PageMoney::PageMoney(const Currency& currency)
    : unit_(currency.code == "USD" ? "$" : printable_line(currency.code) + kNoBreakSpace),
      per_usd_(currency.per_usd) {
  CHECK(std::isfinite(currency.per_usd) && currency.per_usd > 0);
}

// In units of the last decimal. A long double holds every int64, and the division is the only
// rounding, so that amounts in USD round as those of base/money.h do.
long double PageMoney::units(std::int64_t pusd, int decimals) const {
  long double unit = kPusdPerUsd;
  for (int i = 0; i < decimals; ++i) unit /= 10;
  return static_cast<long double>(pusd) * per_usd_ / unit;
}

std::string PageMoney::printed(long double units, int decimals) const {
  std::int64_t per_whole = 1;
  for (int i = 0; i < decimals; ++i) per_whole *= 10;
  const std::int64_t count = std::llround(std::abs(units));
  std::string text = (units < 0 && count != 0 ? "-" : "") + unit_ + with_commas(count / per_whole);
  if (decimals > 0) text += fmt::format(".{:0{}}", count % per_whole, decimals);
  return text;
}

int PageMoney::own_decimals(std::int64_t pusd) const {
  const long double whole = std::abs(units(pusd, 0));
  if (pusd == 0 || whole >= 1) return 2;
  return whole >= 0.001L ? 4 : 6;
}

std::string PageMoney::amount(std::int64_t pusd) const {
  const int decimals = own_decimals(pusd);
  return printed(units(pusd, decimals), decimals);
}

std::string PageMoney::at_most(std::int64_t pusd) const {
  const int decimals = own_decimals(pusd);
  return printed(std::ceil(units(pusd, decimals)), decimals);
}

std::string PageMoney::column(std::int64_t pusd, int decimals) const {
  return printed(units(pusd, decimals), decimals);
}

int PageMoney::column_decimals(std::span<const std::int64_t> pusd) const {
  long double largest = 0;
  bool any_small = false;
  for (const std::int64_t one : pusd) {
    const long double whole = std::abs(units(one, 0));
    largest = std::max(largest, whole);
    any_small = any_small || (one != 0 && whole < 1);
  }
  if (!any_small) return 2;
  return largest < 0.01L ? 6 : 4;
}

ShownText shown_name(std::string_view text, std::size_t max_characters) {
  const std::size_t tail = (max_characters - 1) / 2;
  return shortened(text, max_characters - 1 - tail, tail);
}

ShownText shown_message(std::string_view text, std::size_t max_characters) {
  return shortened(text, max_characters - 1, 0);
}

std::string percent_text(double share, int decimals) {
  return fmt::format("{:.{}f}{}%", 100 * share, decimals, kNoBreakSpace);
}

std::string latency_text(std::optional<std::int64_t> ms) {
  if (!ms) return "-";
  if (*ms < 1000) return fmt::format("{}{}ms", *ms, kNoBreakSpace);
  return fmt::format("{:.1f}{}s", static_cast<double>(*ms) / 1000, kNoBreakSpace);
}

std::string latency_range(std::int64_t from_ms, std::int64_t until_ms) {
  const auto number = [&](std::int64_t ms) {
    return from_ms < 1000 && until_ms < 1000 ? std::to_string(ms)
                                             : fmt::format("{}", static_cast<double>(ms) / 1000);
  };
  if (until_ms <= from_ms) return fmt::format("from {} s", static_cast<double>(from_ms) / 1000);
  return fmt::format("{}-{} {}", number(from_ms), number(until_ms), until_ms < 1000 ? "ms" : "s");
}

std::string times_text(std::int64_t pusd, std::int64_t of_pusd) {
  if (of_pusd == 0) return "-";
  const double times = static_cast<double>(pusd) / static_cast<double>(of_pusd);
  return fmt::format("{:.{}f} times", times, times < 1 ? 2 : 1);
}

std::string beside_cost(const PageFigures& figures, const PageMoney& money) {
  std::vector<std::string> parts;
  if (figures.possible_pusd > 0 || figures.unknown_requests > 0) {
    parts.push_back(fmt::format("up to {} more is possible (what {} cost is not known)",
                                money.at_most(figures.possible_pusd),
                                counted(figures.unknown_requests, "request")));
  }
  if (figures.unpriced_requests > 0) {
    parts.push_back(fmt::format("{} {} unpriced", counted(figures.unpriced_requests, "request"),
                                figures.unpriced_requests == 1 ? "is" : "are"));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace docmill
