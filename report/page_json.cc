// The page's figures as JSON: every digit, and the texts as they came.

#include <nlohmann/json.hpp>

#include "base/money.h"
#include "report/page_json.h"

namespace docmill {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(std::optional<std::int64_t> number) {
  return number ? Json(*number) : Json(nullptr);
}

Json usd_or_null(std::optional<std::int64_t> pusd) {
  return pusd ? Json(exact_usd(*pusd)) : Json(nullptr);
}

Json json_of(const PageFigures& f) {
  return {{"documents", f.documents},
          {"done", f.done},
          {"failed", f.failed},
          {"requests", f.requests},
          {"retries", f.retries},
          {"fallbacks", f.fallbacks},
          {"fallback_rate", f.fallback_rate},
          {"input_tokens", f.input_tokens},
          {"cached_tokens", f.cached_tokens},
          {"output_tokens", f.output_tokens},
          {"cost_usd", exact_usd(f.cost_pusd)},
          {"possible_usd", exact_usd(f.possible_pusd)},
          {"unknown_requests", f.unknown_requests},
          {"unpriced_requests", f.unpriced_requests},
          {"average_usd", usd_or_null(f.average_pusd)},
          {"p50_ms", number_or_null(f.p50_ms)},
          {"p95_ms", number_or_null(f.p95_ms)},
          {"p99_ms", number_or_null(f.p99_ms)}};
}

Json json_of(const PageRow& row) {
  return {{"name", row.name}, {"figures", json_of(row.figures)}};
}

Json json_of(const DayCost& cost) {
  return {{"day", cost.day}, {"model", cost.model}, {"cost_usd", exact_usd(cost.cost_pusd)}};
}

Json json_of(const CostPoint& point) {
  return {{"at_ms", point.at_ms}, {"total_usd", exact_usd(point.total_pusd)}};
}

Json json_of(const LatencyBar& bar) {
  return {{"from_ms", bar.from_ms}, {"until_ms", bar.until_ms}, {"answers", bar.answers}};
}

Json json_of(const NamedCount& count) {
  return {{"name", count.name}, {"count", count.count}};
}

Json json_of(const WhatIfLine& what_if) {
  return {{"model", what_if.model},
          {"cost_usd", exact_usd(what_if.cost_pusd)},
          {"month_usd", usd_or_null(what_if.month_pusd)},
          {"year_usd", usd_or_null(what_if.year_pusd)}};
}

Json json_of(const DearDocument& document) {
  return {{"batch", document.batch},
          {"id", document.id},
          {"model", document.model},
          {"requests", document.requests},
          {"input_tokens", document.input_tokens},
          {"output_tokens", document.output_tokens},
          {"cost_usd", exact_usd(document.cost_pusd)}};
}

Json json_of(const FailureKind& kind) {
  return {{"error_class", kind.error_class},
          {"documents", kind.documents},
          {"examples", kind.examples}};
}

Json json_of(const UsedPrice& price) {
  return {{"provider", price.provider},
          {"model", price.model},
          {"since", price.since},
          {"source", price.source},
          {"rates", price.rates}};
}

template <typename Value>
Json list_of(const std::vector<Value>& values) {
  Json list = Json::array();
  for (const Value& value : values) list.push_back(json_of(value));
  return list;
}

// What report.js draws; the series sum up what stands above them.
Json chart_json(const PageChart& chart) {
  constexpr const char* kKinds[] = {"stack", "bars", "rows", "line"};
  Json series = Json::array();
  for (const ChartSeries& one : chart.series) {
    Json values = Json::array();
    for (const std::int64_t value : one.values) {
      values.push_back(chart.is_money ? Json(exact_usd(value)) : Json(value));
    }
    series.push_back({{"name", one.name}, {"values", std::move(values)}});
  }
  return {{"id", chart.id},
          {"kind", kKinds[static_cast<int>(chart.kind)]},
          {"is_money", chart.is_money},
          {"labels", chart.labels},
          {"at_ms", chart.at_ms},
          {"series", std::move(series)},
          {"cap_usd", usd_or_null(chart.cap_pusd)}};
}

Json chart_list(const std::vector<PageChart>& charts) {
  Json list = Json::array();
  for (const PageChart& chart : charts) list.push_back(chart_json(chart));
  return list;
}

}  // namespace

std::string page_json(const ReportPage& page, const std::vector<PageChart>& charts) {
  const Json json = {
      {"title", page.title},
      {"covers", page.covers},
      {"made_at", page.made_at},
      {"version", page.version},
      {"command", page.command},
      {"currency", {{"code", page.currency.code}, {"per_usd", page.currency.per_usd}}},
      {"totals", json_of(page.totals)},
      {"cap_usd", usd_or_null(page.cap_pusd)},
      {"models", list_of(page.models)},
      {"days", list_of(page.days)},
      {"cumulative", list_of(page.cumulative)},
      {"latencies", list_of(page.latencies)},
      {"errors", list_of(page.errors)},
      {"fallbacks", list_of(page.fallbacks)},
      {"what_ifs", list_of(page.what_ifs)},
      {"dearest", list_of(page.dearest)},
      {"failures", list_of(page.failures)},
      {"prices", list_of(page.prices)},
      {"charts", chart_list(charts)}};
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  // "<" stands in strings only. Escaped, no text can end the script element or open a comment.
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
    text.replace(at, 1, "\\u003c");
  }
  return text;
}

}  // namespace docmill
