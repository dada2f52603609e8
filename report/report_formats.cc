// The three shapes of a cost report. CSV and JSON carry every digit; the table rounds and says so.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/money.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "report/cost_report.h"
#include "report/table.h"

namespace docmill {
namespace {

// Nearest rank: the smallest value that at least `percent` of all are not above.
std::optional<std::int64_t> percentile(std::vector<std::int32_t> values, int percent) {
  if (values.empty()) return std::nullopt;
  const std::size_t rank = (values.size() * static_cast<std::size_t>(percent) + 99) / 100;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double sum_ms(const Figures& figures) {
  double sum = 0;
  for (const std::int32_t ms : figures.latencies_ms) sum += ms;
  return sum;
}

std::optional<double> average_ms(const Figures& figures) {
  if (figures.latencies_ms.empty()) return std::nullopt;
  return sum_ms(figures) / static_cast<double>(figures.latencies_ms.size());
}

double fallback_rate(const Figures& figures) {
  if (figures.sent_jobs == 0) return 0;
  return static_cast<double>(figures.fallen_back_jobs) / static_cast<double>(figures.sent_jobs);
}

// The average of the fastest row, against which the others' latency is weighed.
std::optional<double> fastest_ms(const CostReport& report) {
  std::optional<double> fastest;
  for (const ReportRow& row : report.rows) {
    const auto average = average_ms(row.figures);
    if (average && *average > 0) fastest = std::min(fastest.value_or(*average), *average);
  }
  return fastest;
}

std::string decimal(double value) {
  return fmt::format("{:.6f}", value);
}

struct Cell {
  const char* name;
  std::string value;     // empty: there is none
  bool is_text = false;  // in JSON: money is a string, so that no reader rounds it
};

std::vector<Cell> cells_of(const Figures& f, std::optional<double> fastest) {
  const auto count = [](std::int64_t value) { return std::to_string(value); };
  const auto maybe = [](std::optional<std::int64_t> value) {
    return value ? std::to_string(*value) : std::string();
  };
  const auto average = average_ms(f);
  std::string average_cost;
  if (f.done > 0) average_cost = exact_usd((f.cost_pusd + f.done / 2) / f.done);
  std::string effective;
  if (average && fastest) {
    effective = exact_usd(static_cast<std::int64_t>(
        std::llround(static_cast<long double>(f.cost_pusd) * *average / *fastest)));
  }
  const double seconds = sum_ms(f) / 1000;
  return {{"jobs", count(f.jobs)},
          {"done", count(f.done)},
          {"failed", count(f.failed)},
          {"requests", count(f.requests)},
          {"retries", count(f.retries)},
          {"fallbacks", count(f.fallbacks)},
          {"fallback_rate", decimal(fallback_rate(f))},
          {"input_tokens", count(f.tokens.input_tokens())},
          {"cached_tokens", count(f.tokens.cached_tokens)},
          {"cache_write_tokens", count(f.tokens.cache_write_tokens)},
          {"output_tokens", count(f.tokens.output_tokens)},
          {"reasoning_tokens", count(f.tokens.reasoning_tokens)},
          {"cost_usd", exact_usd(f.cost_pusd), true},
          {"possible_usd", exact_usd(f.possible_pusd), true},
          {"unpriced_requests", count(f.unpriced_requests)},
          {"avg_cost_usd", average_cost, true},
          {"p50_ms", maybe(percentile(f.latencies_ms, 50))},
          {"p95_ms", maybe(percentile(f.latencies_ms, 95))},
          {"p99_ms", maybe(percentile(f.latencies_ms, 99))},
          {"avg_ms", average ? decimal(*average) : ""},
          {"tokens_per_s",
           seconds > 0 ? decimal(static_cast<double>(f.answered_output_tokens) / seconds) : ""},
          {"effective_cost_usd", effective, true},
          {"reused", "0"},
          {"saved_usd", "0.00", true}};
}

nlohmann::ordered_json json_of(const std::vector<Cell>& cells) {
  nlohmann::ordered_json object;
  for (const Cell& cell : cells) {
    if (cell.value.empty()) {
      object[cell.name] = nullptr;
    } else if (cell.is_text) {
      object[cell.name] = cell.value;
    } else {
      object[cell.name] = nlohmann::ordered_json::parse(cell.value);
    }
  }
  return object;
}

std::string seconds_text(std::optional<std::int64_t> ms) {
  if (!ms) return "-";
  return *ms < 1000 ? fmt::format("{} ms", *ms)
                    : fmt::format("{:.1f} s", static_cast<double>(*ms) / 1000);
}

std::vector<std::string> table_cells(std::vector<std::string> keys, const Figures& f) {
  const std::int64_t input = f.tokens.input_tokens();
  const std::string cached =
      f.tokens.cached_tokens == 0
          ? "-"
          : fmt::format("{:.1f} %", 100.0 * static_cast<double>(f.tokens.cached_tokens) /
                                        static_cast<double>(input));
  for (const std::string& cell :
       {with_commas(f.done), with_commas(f.failed), with_commas(f.requests), with_commas(f.retries),
        with_commas(f.fallbacks), with_commas(input), cached, with_commas(f.tokens.output_tokens),
        column_usd(f.cost_pusd), seconds_text(percentile(f.latencies_ms, 95))}) {
    keys.push_back(cell);
  }
  return keys;
}

std::string percent_of_sent(const Figures& f) {
  return fmt::format("{:.2f} %", 100 * fallback_rate(f));
}

}  // namespace

std::string report_table(const CostReport& report) {
  std::vector<std::string> headings;
  for (const std::string& name : report.key_columns) {
    std::string upper = name;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    headings.push_back(upper);
  }
  for (const char* heading : {">DONE", ">FAILED", ">REQUESTS", ">RETRIES", ">FALLBACKS",
                              ">TOKENS IN", ">CACHED", ">TOKENS OUT", ">COST", ">p95"}) {
    headings.emplace_back(heading);
  }
  Table table(headings);
  for (const ReportRow& row : report.rows) {
    std::vector<std::string> keys = row.keys;
    for (std::string& key : keys) {
      if (key == "none") key = "(never sent)";
    }
    table.add(table_cells(std::move(keys), row.figures));
  }
  std::vector<std::string> total(report.key_columns.size());
  if (!total.empty()) total.front() = "total";
  const Figures& all = report.totals;
  table.add(table_cells(std::move(total), all));
  std::string text = table.text();
  text += fmt::format("possible {} more: {} requests whose cost is not known   unpriced {}\n",
                      column_usd(all.possible_pusd), with_commas(all.unknown_requests),
                      with_commas(all.unpriced_requests));
  if (all.done > 0) {
    text += fmt::format("a document {}   fell back {} of {} sent\n",
                        human_usd((all.cost_pusd + all.done / 2) / all.done), percent_of_sent(all),
                        with_commas(all.sent_jobs));
  }
  return text + "rounded here; every digit: --format csv\n";
}

std::string report_csv(const CostReport& report) {
  const std::optional<double> fastest = fastest_ms(report);
  std::vector<CsvCell> header;
  for (const std::string& name : report.key_columns) header.push_back({name});
  for (const Cell& cell : cells_of(report.totals, fastest)) header.push_back({cell.name});
  std::string text = csv_record(header);
  for (const ReportRow& row : report.rows) {
    std::vector<CsvCell> cells;
    for (const std::string& key : row.keys) cells.push_back({key});
    for (const Cell& cell : cells_of(row.figures, fastest)) cells.push_back({cell.value, true});
    text += csv_record(cells);
  }
  return text;
}

std::string report_json(const CostReport& report) {
  const std::optional<double> fastest = fastest_ms(report);
  nlohmann::ordered_json out;
  out["rows"] = nlohmann::ordered_json::array();
  for (const ReportRow& row : report.rows) {
    nlohmann::ordered_json object;
    for (std::size_t i = 0; i < row.keys.size(); ++i) object[report.key_columns[i]] = row.keys[i];
    object.update(json_of(cells_of(row.figures, fastest)));
    out["rows"].push_back(std::move(object));
  }
  out["totals"] = json_of(cells_of(report.totals, fastest));
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace docmill
