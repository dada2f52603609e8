// Cost by day and model. 400 days make no readable bars and 40 models no readable stack: days are
// summed to weeks, months or years until at most kMaxBars are left, models beyond the dearest seven
// are summed as "other". A period without cost keeps its place.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <set>

#include "report/page_charts.h"

namespace docmill {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr std::size_t kMaxBars = 92;
constexpr std::size_t kMaxSeries = 7;
constexpr std::size_t kModelCharacters = 40;

// Nothing for what base/clock.h writes of a time out of range: such a day stands by itself.
std::optional<sys_days> parsed_day(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  const char* const at = text.data();
  if (text.size() != 10 || std::from_chars(at, at + 4, year).ptr != at + 4 ||
      std::from_chars(at + 5, at + 7, month).ptr != at + 7 ||
      std::from_chars(at + 8, at + 10, day).ptr != at + 10) {
    return std::nullopt;
  }
  const year_month_day date{std::chrono::year(year), std::chrono::month(month),
                            std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return sys_days(date);
}

enum class Period { day, week, month, year };

constexpr const char* kPeriodNames[] = {"day", "week", "month", "year"};

sys_days start_of(sys_days day, Period period) {
  if (period == Period::day) return day;
  if (period == Period::week) {
    return day - days(std::chrono::weekday(day).iso_encoding() - 1);
  }
  const year_month_day date(day);
  return sys_days(date.year() / (period == Period::month ? date.month() : std::chrono::January) /
                  1);
}

sys_days next_start(sys_days start, Period period) {
  return start_of(start + days(period == Period::day     ? 1
                               : period == Period::week  ? 7
                               : period == Period::month ? 31
                                                         : 366),
                  period);
}

// Weeks by their Monday.
std::string label_of(sys_days start, Period period) {
  const year_month_day date(start);
  const int year = int(date.year());
  if (period == Period::year) return fmt::format("{:04}", year);
  if (period == Period::month) return fmt::format("{:04}-{:02}", year, unsigned(date.month()));
  return fmt::format("{:04}-{:02}-{:02}", year, unsigned(date.month()), unsigned(date.day()));
}

// Every period's label from the first day to the last, in order, unless they are too many.
std::optional<std::vector<std::string>> labels_by(Period period, sys_days first, sys_days last) {
  std::vector<std::string> labels;
  for (sys_days at = start_of(first, period); at <= last; at = next_start(at, period)) {
    if (labels.size() == kMaxBars) return std::nullopt;
    labels.push_back(label_of(at, period));
  }
  return labels;
}

struct Periods {
  Period period = Period::day;
  std::vector<std::string> labels;
};

Periods periods_of(const std::vector<DayCost>& costs) {
  std::vector<sys_days> found;
  for (const DayCost& cost : costs) {
    if (const auto day = parsed_day(cost.day)) found.push_back(*day);
  }
  if (found.empty()) return {};
  const auto [first, last] = std::minmax_element(found.begin(), found.end());
  for (const Period period : {Period::day, Period::week, Period::month, Period::year}) {
    if (auto labels = labels_by(period, *first, *last)) return {period, std::move(*labels)};
  }
  return {Period::year, {}};  // more years than bars: a clock was wrong, and gaps mean nothing
}

std::string label_of(const DayCost& cost, Period period) {
  const auto day = parsed_day(cost.day);
  return day ? label_of(start_of(*day, period), period) : shown_name(cost.day, 20).shown;
}

// The models with a series of their own, dearest first.
std::vector<std::string> dearest_models(const std::vector<DayCost>& costs) {
  std::map<std::string, std::int64_t> totals;
  for (const DayCost& cost : costs) totals[cost.model] += cost.cost_pusd;
  std::vector<std::string> models;
  for (const auto& [model, total] : totals) models.push_back(model);
  std::stable_sort(models.begin(), models.end(),
                   [&](const auto& a, const auto& b) { return totals.at(a) > totals.at(b); });
  if (models.size() > kMaxSeries + 1) models.resize(kMaxSeries);
  return models;
}

void add_series(PageChart& chart, const std::vector<DayCost>& costs, Period period) {
  std::map<std::string, std::size_t> column;
  for (std::size_t i = 0; i < chart.labels.size(); ++i) column[chart.labels[i]] = i;
  std::map<std::string, std::size_t> series;
  const ChartSeries none{"", std::vector<std::int64_t>(chart.labels.size(), 0)};
  for (const std::string& model : dearest_models(costs)) {
    series[model] = chart.series.size();
    chart.series.push_back(none);
    chart.series.back().name = shown_name(model, kModelCharacters).shown;
  }
  ChartSeries other = none;
  bool any_other = false;
  for (const DayCost& cost : costs) {
    const auto found = series.find(cost.model);
    ChartSeries& into = found == series.end() ? other : chart.series[found->second];
    any_other = any_other || found == series.end();
    into.values[column.at(label_of(cost, period))] += cost.cost_pusd;
  }
  other.name = "other models";
  if (any_other) chart.series.push_back(std::move(other));
}

void add_table(PageChart& chart, const std::string& first_heading, const PageMoney& money) {
  std::vector<std::int64_t> sums(chart.labels.size(), 0);
  std::vector<std::int64_t> all;
  for (const ChartSeries& one : chart.series) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] += one.values[i];
      all.push_back(one.values[i]);
    }
  }
  const int decimals = money.column_decimals(all);
  chart.headings = {first_heading};
  if (chart.series.size() > 1) {
    for (const ChartSeries& one : chart.series) chart.headings.push_back(one.name);
  }
  chart.headings.emplace_back("Cost");
  for (std::size_t i = 0; i < sums.size(); ++i) {
    PageChart::Row row{shown_name(chart.labels[i], kModelCharacters), {}};
    if (chart.series.size() > 1) {
      for (const ChartSeries& one : chart.series) {
        row.figures.push_back(money.column(one.values[i], decimals));
      }
    }
    row.figures.push_back(money.column(sums[i], decimals));
    chart.rows.push_back(std::move(row));
  }
}

// One day's models are rows: a single upright bar says little.
void lay_down(PageChart& chart) {
  ChartSeries costs{"Cost", {}};
  chart.labels.clear();
  for (const ChartSeries& one : chart.series) {
    chart.labels.push_back(one.name);
    costs.values.push_back(one.values.front());
  }
  chart.series = {std::move(costs)};
  chart.kind = PageChart::Kind::rows;
}

std::string dearest_period(const PageChart& chart, const char* period, const PageMoney& money) {
  std::size_t dearest = 0;
  std::vector<std::int64_t> sums(chart.labels.size(), 0);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    for (const ChartSeries& one : chart.series) sums[i] += one.values[i];
    if (sums[i] > sums[dearest]) dearest = i;
  }
  return fmt::format("The dearest {}{} was {}, with {}.", period,
                     std::string_view(period) == "week" ? " (from Monday)" : "",
                     chart.labels[dearest], money.amount(sums[dearest]));
}

}  // namespace

std::optional<PageChart> cost_by_day(const ReportPage& page, const PageMoney& money) {
  if (page.days.empty()) return std::nullopt;
  Periods periods = periods_of(page.days);
  std::set<std::string> labels(periods.labels.begin(), periods.labels.end());
  for (const DayCost& cost : page.days) labels.insert(label_of(cost, periods.period));
  PageChart chart;
  chart.id = "days";
  chart.kind = PageChart::Kind::stack;
  chart.is_money = true;
  chart.labels.assign(labels.begin(), labels.end());
  add_series(chart, page.days, periods.period);
  if (chart.labels.size() == 1) {
    chart.title = "Cost by model";
    chart.says = fmt::format("All of it on {}.", chart.labels.front());
    lay_down(chart);
    add_table(chart, "Model", money);
    return chart;
  }
  const char* const period = kPeriodNames[static_cast<int>(periods.period)];
  chart.title = fmt::format("Cost by {} and model", period);
  chart.says = dearest_period(chart, period, money);
  add_table(chart, "From", money);
  return chart;
}

}  // namespace docmill
