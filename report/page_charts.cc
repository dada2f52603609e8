#include "report/page_charts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

constexpr std::size_t kMaxPoints = 240;    // of a line; more are below a pixel
constexpr std::size_t kMaxPointRows = 24;  // of its table
constexpr std::size_t kMaxLyingBars = 12;
constexpr std::size_t kMaxWhatIfBars = 20;
constexpr std::size_t kNameCharacters = 60;

// At most `limit` of `size` places, spread evenly, the first and the last among them.
std::vector<std::size_t> spread(std::size_t size, std::size_t limit) {
  std::vector<std::size_t> places;
  const std::size_t count = std::min(size, limit);
  for (std::size_t i = 0; i < count; ++i) {
    places.push_back(count < 2 ? 0 : i * (size - 1) / (count - 1));
  }
  return places;
}

std::string cap_sentence(std::int64_t cost_pusd, std::int64_t cap_pusd, const PageMoney& money) {
  return fmt::format("{} of the cap of {}.", money.amount(cost_pusd), money.amount(cap_pusd));
}

std::optional<PageChart> cumulative_chart(const ReportPage& page, const PageMoney& money) {
  if (page.cumulative.size() < 2) return std::nullopt;
  PageChart chart;
  chart.id = "cumulative";
  chart.title = page.cap_pusd ? "Cost against the cap, over time" : "Cost over time";
  chart.kind = PageChart::Kind::line;
  chart.is_money = true;
  chart.series.push_back({"Measured cost, summed up", {}});
  for (const std::size_t i : spread(page.cumulative.size(), kMaxPoints)) {
    const CostPoint& point = page.cumulative[i];
    chart.labels.push_back(short_time(point.at_ms) + " UTC");
    chart.at_ms.push_back(point.at_ms);
    chart.series.front().values.push_back(point.total_pusd);
  }
  const std::vector<std::int64_t>& totals = chart.series.front().values;
  const std::int64_t end_pusd = totals.back();
  // A cap far above would press the line to the ground.
  if (page.cap_pusd && *page.cap_pusd / 5 <= end_pusd) chart.cap_pusd = page.cap_pusd;
  chart.says = page.cap_pusd ? cap_sentence(end_pusd, *page.cap_pusd, money)
                             : fmt::format("{} in the end.", money.amount(end_pusd));
  if (page.cap_pusd && !chart.cap_pusd) chart.says += " The cap is far above what is drawn.";
  chart.headings = {"Time (UTC)", "Cost until then"};
  const int decimals = money.column_decimals(totals);
  for (const std::size_t i : spread(totals.size(), kMaxPointRows)) {
    chart.rows.push_back({{short_time(chart.at_ms[i]), ""}, {money.column(totals[i], decimals)}});
  }
  return chart;
}

std::optional<PageChart> latency_chart(const ReportPage& page) {
  if (page.latencies.empty()) return std::nullopt;
  PageChart chart;
  chart.id = "latencies";
  chart.title = "Latency of answers";
  const PageFigures& all = page.totals;
  if (all.p50_ms && all.p95_ms && all.p99_ms) {
    chart.says =
        fmt::format("Half came within {}, 95 % within {}, 99 % within {}.",
                    latency_text(all.p50_ms), latency_text(all.p95_ms), latency_text(all.p99_ms));
  }
  chart.headings = {"Time to the whole answer", "Answers"};
  chart.series.push_back({"Answers", {}});
  for (const LatencyBar& bar : page.latencies) {
    chart.labels.push_back(latency_range(bar.from_ms, bar.until_ms));
    chart.series.front().values.push_back(bar.answers);
    chart.rows.push_back({{chart.labels.back(), ""}, {with_commas(bar.answers)}});
  }
  return chart;
}

// Most first; the bars beyond the limit are one bar, the table has them all.
std::optional<PageChart> count_chart(std::vector<NamedCount> found, const std::string& id) {
  std::erase_if(found, [](const NamedCount& one) { return one.count == 0; });
  if (found.empty()) return std::nullopt;
  std::stable_sort(found.begin(), found.end(),
                   [](const NamedCount& a, const NamedCount& b) { return a.count > b.count; });
  PageChart chart;
  chart.id = id;
  chart.kind = PageChart::Kind::rows;
  chart.headings = {"", "Requests"};
  chart.series.push_back({"Requests", {}});
  std::vector<std::int64_t>& bars = chart.series.front().values;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const ShownText name = shown_name(found[i].name, kNameCharacters);
    chart.rows.push_back({name, {with_commas(found[i].count)}});
    total += found[i].count;
    if (i >= kMaxLyingBars && found.size() > kMaxLyingBars + 1) {
      if (i == kMaxLyingBars) {
        chart.labels.push_back(counted(std::ssize(found) - std::ssize(bars), "other"));
        bars.push_back(0);
      }
      bars.back() += found[i].count;
      continue;
    }
    chart.labels.push_back(name.shown);
    bars.push_back(found[i].count);
  }
  chart.says = counted(total, "request");
  return chart;
}

std::optional<PageChart> error_chart(const ReportPage& page) {
  std::optional<PageChart> chart = count_chart(page.errors, "errors");
  if (!chart) return std::nullopt;
  chart->title = "Requests without a usable answer, by kind";
  chart->headings.front() = "Kind";
  chart->says += fmt::format(" of {}.", with_commas(page.totals.requests));
  return chart;
}

std::optional<PageChart> fallback_chart(const ReportPage& page) {
  std::optional<PageChart> chart = count_chart(page.fallbacks, "fallbacks");
  if (!chart) return std::nullopt;
  chart->title = "Fallbacks, by models";
  chart->headings.front() = "From, to";
  chart->says += " went to the next model of the chain.";
  return chart;
}

std::vector<std::int64_t> what_if_amounts(const ReportPage& page,
                                          std::optional<std::int64_t> WhatIfLine::*amount) {
  std::vector<std::int64_t> amounts;
  for (const WhatIfLine& one : page.what_ifs) {
    if (one.*amount) amounts.push_back(*(one.*amount));
  }
  return amounts;
}

void add_what_if_rows(PageChart& chart, const ReportPage& page, const PageMoney& money) {
  const std::vector<std::int64_t> months = what_if_amounts(page, &WhatIfLine::month_pusd);
  const std::vector<std::int64_t> years = what_if_amounts(page, &WhatIfLine::year_pusd);
  std::vector<std::int64_t> costs = {page.totals.cost_pusd};
  for (const WhatIfLine& one : page.what_ifs) costs.push_back(one.cost_pusd);
  const int decimals = money.column_decimals(costs);
  const auto rate = [&](std::optional<std::int64_t> pusd, std::span<const std::int64_t> column) {
    return pusd ? money.column(*pusd, money.column_decimals(column)) : std::string("-");
  };
  chart.headings = {"Model", "Cost", "Of the actual"};
  if (!months.empty()) chart.headings.emplace_back("A month");
  if (!years.empty()) chart.headings.emplace_back("A year");
  PageChart::Row actual{{"actual", ""}, {money.column(costs.front(), decimals), "1.0 times"}};
  actual.figures.resize(chart.headings.size() - 1, "-");
  chart.rows.push_back(std::move(actual));
  for (const WhatIfLine& one : page.what_ifs) {
    PageChart::Row row{
        shown_name("all on " + one.model, kNameCharacters),
        {money.column(one.cost_pusd, decimals), times_text(one.cost_pusd, page.totals.cost_pusd)}};
    if (!months.empty()) row.figures.push_back(rate(one.month_pusd, months));
    if (!years.empty()) row.figures.push_back(rate(one.year_pusd, years));
    chart.rows.push_back(std::move(row));
  }
}

std::optional<PageChart> what_if_chart(const ReportPage& page, const PageMoney& money) {
  if (page.what_ifs.empty()) return std::nullopt;
  PageChart chart;
  chart.id = "what-if";
  chart.title = "What if all had gone to one model";
  chart.says = "The same tokens at today's prices of each model.";
  chart.kind = PageChart::Kind::rows;
  chart.is_money = true;
  chart.table_stays = true;
  const std::size_t bars = std::min(page.what_ifs.size(), kMaxWhatIfBars);
  ChartSeries actual{"Actual", std::vector<std::int64_t>(bars + 1, 0)};
  ChartSeries instead{"What if", {0}};
  actual.values.front() = page.totals.cost_pusd;
  chart.labels.emplace_back("actual");
  for (std::size_t i = 0; i < bars; ++i) {
    chart.labels.push_back(shown_name("all on " + page.what_ifs[i].model, kNameCharacters).shown);
    instead.values.push_back(page.what_ifs[i].cost_pusd);
  }
  if (bars < page.what_ifs.size()) {
    chart.says += fmt::format(" The first {} are drawn.", bars);
  }
  chart.series = {std::move(actual), std::move(instead)};
  add_what_if_rows(chart, page, money);
  return chart;
}

}  // namespace

std::vector<PageChart> page_charts(const ReportPage& page, const PageMoney& money) {
  std::vector<PageChart> charts;
  for (std::optional<PageChart> chart :
       {cost_by_day(page, money), cumulative_chart(page, money), latency_chart(page),
        fallback_chart(page), error_chart(page), what_if_chart(page, money)}) {
    if (!chart) continue;
    const std::string beside = beside_cost(page.totals, money);
    if (chart->is_money && !beside.empty()) {
      chart->says += fmt::format(" Measured cost only: {}.", beside);
    }
    charts.push_back(std::move(*chart));
  }
  return charts;
}

}  // namespace docmill
