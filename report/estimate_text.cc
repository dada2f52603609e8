#include "report/estimate_text.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

struct Unit {
  double size;
  const char* name;
};

Unit unit_of(std::int64_t number) {
  if (number >= 1'000'000'000) return {1e9, " G"};
  if (number >= 1'000'000) return {1e6, " M"};
  return {1, ""};
}

std::string in_unit(std::int64_t number, const Unit& unit) {
  if (unit.size <= 1) return with_commas(number);
  const double value = static_cast<double>(number) / unit.size;
  return value < 10 ? fmt::format("{:.2f}", value) : fmt::format("{:.1f}", value);
}

// "42.8 M (41.9-43.6)": all three in the unit of the expected one.
std::string range_text(const Range& range, const char* highest) {
  const Unit unit = unit_of(range.expected);
  return fmt::format("{}{} ({}-{}{})", in_unit(range.expected, unit), unit.name,
                     in_unit(range.low, unit), in_unit(range.high, unit), highest);
}

std::string tokens_line(const BatchEstimate& estimate) {
  return fmt::format("tokens  in {}   out {}{}", range_text(estimate.input_tokens, ""),
                     range_text(estimate.output_tokens, ", the limit"),
                     estimate.is_exact ? "" : "   input by characters");
}

void add_cost_lines(const BatchEstimate& estimate, std::vector<std::string>& lines) {
  if (estimate.is_unpriced) {
    lines.push_back("cost    unknown: a model has no price (docmill prices set)");
    return;
  }
  const Range& cost = estimate.cost_pusd;
  std::string line = fmt::format("cost    {} ({}-{})", human_usd(cost.expected),
                                 human_usd(cost.low), human_usd(cost.high));
  if (!estimate.dearest.empty() && estimate.documents > 1) {
    line += fmt::format("   dearest: {} {}", printable_line(estimate.dearest),
                        human_usd(estimate.dearest_pusd));
  }
  lines.push_back(line);
  std::string others;
  for (const auto& [model, pusd] : estimate.elsewhere_pusd) {
    others += fmt::format("{}{} {}", others.empty() ? "        on " : ", ", model, human_usd(pusd));
  }
  if (!others.empty()) lines.push_back(others);
}

std::string cap_line(const BatchEstimate& estimate, std::int64_t cap_pusd) {
  const Range& cost = estimate.cost_pusd;
  std::string enough = "is enough";
  if (cap_pusd < cost.high) enough = "is probably enough";
  if (cap_pusd < cost.expected) {
    const double share = static_cast<double>(cap_pusd) / static_cast<double>(cost.expected);
    enough = fmt::format(
        "holds the batch after some {} of {} documents",
        with_commas(static_cast<std::int64_t>(share * static_cast<double>(estimate.documents))),
        with_commas(estimate.documents));
  }
  return fmt::format("cap     {} {}; one request reserves at most {}", human_usd(cap_pusd), enough,
                     human_usd(estimate.largest_ceiling_pusd));
}

}  // namespace

std::string short_count(std::int64_t number) {
  const Unit unit = unit_of(number);
  return in_unit(number, unit) + unit.name;
}

std::vector<std::string> estimate_lines(const BatchEstimate& estimate,
                                        const std::optional<std::int64_t>& cap_pusd) {
  if (estimate.documents == 0) return {};
  std::vector<std::string> lines;
  if (estimate.long_documents > 0) {
    const std::string combining =
        estimate.combining == 0
            ? ""
            : fmt::format(" and {} combining steps", with_commas(estimate.combining));
    lines.push_back(fmt::format("too long for one request: {}, as some {} pieces{}",
                                with_commas(estimate.long_documents), with_commas(estimate.pieces),
                                combining));
  }
  lines.push_back(tokens_line(estimate));
  add_cost_lines(estimate, lines);
  lines.push_back(fmt::format("time    ~{}, bound by {}{}", human_duration(estimate.time_ms),
                              estimate.bound_by, estimate.is_timed ? "" : " (none was timed yet)"));
  if (cap_pusd && !estimate.is_unpriced) lines.push_back(cap_line(estimate, *cap_pusd));
  return lines;
}

}  // namespace docmill
