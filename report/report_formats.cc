#include "report/report_formats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "report/table.h"
#include "report/what_if.h"

namespace docmill {
namespace {

std::string decimal(double value) {
  return fmt::format("{:.6f}", value);
}

struct Cell {
  std::string name;
  std::string value;     // empty: there is none
  bool is_text = false;  // in JSON: money is a string, so that no reader rounds it
};

std::string maybe(std::optional<std::int64_t> value) {
  return value ? std::to_string(*value) : std::string();
}
std::string maybe_usd(std::optional<std::int64_t> pusd) {
  return pusd ? exact_usd(*pusd) : std::string();
}
std::string maybe_decimal(std::optional<double> value) {
  return value ? decimal(*value) : std::string();
}

std::vector<Cell> cells_of(const Figures& f, const CostReport& report) {
  const auto count = [](std::int64_t value) { return std::to_string(value); };
  std::vector<Cell> cells = {
      {"jobs", count(f.jobs)},
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
      {"cost_usd", maybe_usd(known_pusd(f)), true},
      {"possible_usd", exact_usd(f.possible_pusd), true},
      {"unpriced_requests", count(f.unpriced_requests)},
      {"avg_cost_usd", maybe_usd(average_pusd(f)), true},
      {"p50_ms", maybe(f.latencies.percentile(50))},
      {"p95_ms", maybe(f.latencies.percentile(95))},
      {"p99_ms", maybe(f.latencies.percentile(99))},
      {"avg_ms", maybe_decimal(f.latencies.average_ms())},
      {"tokens_per_s", maybe_decimal(tokens_per_second(f))},
      {"effective_cost_usd", maybe_usd(effective_pusd(f, report.fastest_ms())), true},
      {"reused", count(f.reused)},
      {"saved_usd", exact_usd(f.saved_pusd), true}};
  for (std::size_t i = 0; i < f.what_if_pusd.size(); ++i) {
    cells.push_back({fmt::format("if_{}_usd", report.wish().what_ifs[i].model),
                     exact_usd(f.what_if_pusd[i]), true});
  }
  return cells;
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

nlohmann::ordered_json money_json(std::optional<std::int64_t> pusd) {
  return pusd ? nlohmann::ordered_json(exact_usd(*pusd)) : nlohmann::ordered_json();
}

std::string dumped(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string seconds_text(std::optional<std::int64_t> ms) {
  if (!ms) return "-";
  return *ms < 1000 ? fmt::format("{} ms", *ms)
                    : fmt::format("{:.1f} s", static_cast<double>(*ms) / 1000);
}

std::vector<std::string> table_cells(std::vector<std::string> keys, const Figures& f,
                                     const Currency& currency) {
  const std::int64_t input = f.tokens.input_tokens();
  const std::string cached =
      f.tokens.cached_tokens == 0
          ? "-"
          : fmt::format("{:.1f} %", 100.0 * static_cast<double>(f.tokens.cached_tokens) /
                                        static_cast<double>(input));
  for (const std::string& cell :
       {with_commas(f.done), with_commas(f.failed), with_commas(f.requests), with_commas(f.retries),
        with_commas(f.fallbacks), with_commas(input), cached, with_commas(f.tokens.output_tokens),
        known_pusd(f) ? currency.column(f.cost_pusd) : "unpriced",
        seconds_text(f.latencies.percentile(95))}) {
    keys.push_back(cell);
  }
  return keys;
}

std::string upper(std::string name) {
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return name;
}

// "q3  12,480 documents: 12,461 done, 19 failed (9 never sent)   23 Nov 09:44 to 09:56 UTC"
std::string headline(const CostReport& report, const ReportShow& show) {
  const Figures& all = report.totals();
  std::string text =
      show.batches.size() <= 3
          ? fmt::format("{}", fmt::join(show.batches, ", "))
          : fmt::format("{} batches", with_commas(static_cast<std::int64_t>(show.batches.size())));
  if (all.jobs > 0) {
    text += fmt::format("  {} documents: {} done, {} failed", with_commas(all.jobs),
                        with_commas(all.done), with_commas(all.failed));
    if (all.jobs > all.sent_jobs) {
      text += fmt::format(" ({} never sent)", with_commas(all.jobs - all.sent_jobs));
    }
  }
  if (report.span()) {
    text += fmt::format("   {} to {} UTC", short_time(report.span()->first_ms),
                        short_time(report.span()->last_ms));
  }
  return printable_line(text) + "\n";
}

std::string what_if_text(const CostReport& report, const ReportShow& show) {
  std::string text;
  const std::vector<WhatIfLine> lines = what_if_lines(report, show.documents_per_month);
  const std::int64_t was_pusd = lines.front().cost_pusd;
  Table table({"WHAT IF", ">COST", ">TIMES", ">A MONTH", ">A YEAR"});
  for (const WhatIfLine& line : lines) {
    const auto amount = [&](std::optional<std::int64_t> pusd) {
      return pusd ? show.currency.text(*pusd) : std::string("-");
    };
    const std::string times = was_pusd == 0
                                  ? "-"
                                  : fmt::format("{:.1f}", static_cast<double>(line.cost_pusd) /
                                                              static_cast<double>(was_pusd));
    table.add({line.model.empty() ? "as it was" : "all on " + line.model, amount(line.cost_pusd),
               times, amount(line.month_pusd), amount(line.year_pusd)});
  }
  text += table.text();
  const std::string pace =
      show.documents_per_month
          ? fmt::format("{} documents a month", with_commas(*show.documents_per_month))
          : "the pace of the time above";
  const Figures& all = report.totals();
  return text + fmt::format("what if: the tokens of {} requests; a month and a year at {}\n",
                            with_commas(all.counted_requests), pace);
}

std::string below_table(const CostReport& report, const ReportShow& show) {
  const Figures& all = report.totals();
  std::string text = fmt::format(
      "possible {} more: {} requests whose cost is not known{}   "
      "unpriced {}   reused {}{}\n",
      show.currency.column(all.possible_pusd), with_commas(all.unknown_requests),
      all.unknown_requests > 0 && show.batches.size() == 1
          ? fmt::format(" (docmill settle {})", show.batches.front())
          : "",
      with_commas(all.unpriced_requests), with_commas(all.reused),
      all.reused == 0 ? "" : fmt::format(", which saved {}", show.currency.text(all.saved_pusd)));
  if (all.done > 0) {
    const auto average = average_pusd(all);
    text += fmt::format("a document {}   fell back {:.2f} % of {} sent\n",
                        average ? show.currency.text(*average) : "unpriced",
                        100 * fallback_rate(all), with_commas(all.sent_jobs));
  }
  if (all.reported_requests > 0) {
    text += fmt::format("providers say {} for {} of the requests\n",
                        show.currency.text(all.reported_pusd), with_commas(all.reported_requests));
  }
  if (!report.wish().what_ifs.empty()) text += what_if_text(report, show);
  if (show.currency.code != "USD") {
    text += fmt::format("{} at {} per USD; the ledger is in USD\n", show.currency.code,
                        show.currency.per_usd);
  }
  return text + "rounded here; every digit: --format csv\n";
}

}  // namespace

void write_table(CostReport& report, const ReportShow& show, const Put& put) {
  std::vector<std::string> headings;
  for (const std::string& name : report.columns()) headings.push_back(upper(name));
  for (const char* heading : {">DONE", ">FAILED", ">REQUESTS", ">RETRIES", ">FALLBACKS",
                              ">TOKENS IN", ">CACHED", ">TOKENS OUT", ">COST", ">p95"}) {
    headings.emplace_back(heading);
  }
  Table table(headings);
  std::int64_t rows = 0;
  report.each_row([&](const ReportRow& row) {
    if (++rows > kMostTableRows) return;
    std::vector<std::string> keys = row.keys;
    for (std::string& key : keys) {
      if (key == "none") key = "(never sent)";
    }
    table.add(table_cells(std::move(keys), row.figures, show.currency));
  });
  std::vector<std::string> total(report.columns().size());
  if (!total.empty()) total.front() = "total";
  table.add(table_cells(std::move(total), report.totals(), show.currency));
  put(headline(report, show));
  put(table.text());
  if (rows > kMostTableRows) {
    put(fmt::format("{} more rows: --format csv\n", with_commas(rows - kMostTableRows)));
  }
  put(below_table(report, show));
}

void write_csv(CostReport& report, const Put& put) {
  std::vector<CsvCell> header;
  for (const std::string& name : report.columns()) header.push_back({name});
  for (const Cell& cell : cells_of(report.totals(), report)) header.push_back({cell.name});
  put(csv_record(header));
  report.each_row([&](const ReportRow& row) {
    std::vector<CsvCell> cells;
    for (const std::string& key : row.keys) cells.push_back({key});
    for (Cell& cell : cells_of(row.figures, report)) cells.push_back({std::move(cell.value), true});
    put(csv_record(cells));
  });
}

void write_json(CostReport& report, const ReportShow& show, const Put& put) {
  const std::vector<std::string> columns = report.columns();
  std::string before = "{\"rows\":[\n";
  report.each_row([&](const ReportRow& row) {
    nlohmann::ordered_json object;
    for (std::size_t i = 0; i < row.keys.size(); ++i) object[columns[i]] = row.keys[i];
    object.update(json_of(cells_of(row.figures, report)));
    put(before + dumped(object));
    before = ",\n";
  });
  if (before != ",\n") put(before);
  nlohmann::ordered_json totals = json_of(cells_of(report.totals(), report));
  totals["reported_usd"] = report.totals().reported_requests > 0
                               ? money_json(report.totals().reported_pusd)
                               : nlohmann::ordered_json();
  put("],\n\"totals\":" + dumped(totals));
  if (!report.wish().what_ifs.empty()) {
    nlohmann::ordered_json lines = nlohmann::ordered_json::array();
    for (const WhatIfLine& line : what_if_lines(report, show.documents_per_month)) {
      lines.push_back({{"model", line.model.empty() ? nlohmann::ordered_json() : line.model},
                       {"cost_usd", exact_usd(line.cost_pusd)},
                       {"month_usd", money_json(line.month_pusd)},
                       {"year_usd", money_json(line.year_pusd)}});
    }
    put(",\n\"what_if\":" + dumped(lines));
  }
  put("}\n");
}

}  // namespace docmill
