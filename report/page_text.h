#pragma once

// How the HTML report prints figures and texts. Every number that a reader sees outside of a chart
// is printed here.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "report/page.h"

namespace docmill {

// Amounts in the page's currency; in USD they are as base/money.h has them.
class PageMoney {
 public:
  explicit PageMoney(const Currency& currency);

  const std::string& unit() const { return unit_; }  // "$", or "EUR "
  std::string amount(std::int64_t pusd) const;       // "$18.24", "$0.0164", "$0.000004"
  std::string at_most(std::int64_t pusd) const;      // the same, rounded up
  std::string column(std::int64_t pusd, int decimals) const;
  // Two where every amount is of one or more, six where all are below a hundredth, else four.
  int column_decimals(std::span<const std::int64_t> pusd) const;

 private:
  std::string printed(long double units, int decimals) const;
  long double units(std::int64_t pusd, int decimals) const;
  int own_decimals(std::int64_t pusd) const;

  std::string unit_;
  long double per_usd_;
};

// A text from outside on one line: what is shown, and all of it when that was shortened.
struct ShownText {
  std::string shown;
  std::string full;  // empty: it is shown whole
};
// Both ends stay, since an id's end tells it from its neighbours'.
ShownText shown_name(std::string_view text, std::size_t max_characters);
// The beginning stays.
ShownText shown_message(std::string_view text, std::size_t max_characters);

std::string percent_text(double share, int decimals);                    // of 0.0115: "1.15 %"
std::string latency_text(std::optional<std::int64_t> ms);                // "850 ms", "6.2 s", "-"
std::string latency_range(std::int64_t from_ms, std::int64_t until_ms);  // "1-2 s", "from 60 s"
std::string times_text(std::int64_t pusd, std::int64_t of_pusd);  // "19.9 times", "-" of nothing

// "up to $0.0197 more is possible (what 3 requests cost is not known)", "5 requests are unpriced",
// both, or nothing. It stands beside every cost that leaves them out.
std::string beside_cost(const PageFigures& figures, const PageMoney& money);

}  // namespace docmill
