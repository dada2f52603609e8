// The page: values are named here as report/page/report.html calls them. {{x}} escapes, so a text
// from outside can only be a text; the three raw insertions are our own files and the JSON.

#include "report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <kainjow/mustache.hpp>

#include "base/check.h"
#include "base/money.h"
#include "base/sha256.h"
#include "base/text.h"
#include "report/page_files.h"
#include "report/page_json.h"

namespace docmill {
namespace {

using kainjow::mustache::data;

constexpr std::size_t kShownNameCharacters = 48;
constexpr std::size_t kShownMessageCharacters = 200;

// In a section of its own it is printed by the template's partial "text".
data text_data(const ShownText& text) {
  data out;
  out.set("shown", text.shown);
  // Never left out: a name that is not found is looked for further out.
  out.set("full", text.full.empty() ? data(false) : data(text.full));
  return out;
}

data name_data(std::string_view name) {
  return text_data(shown_name(name, kShownNameCharacters));
}

template <typename Item, typename Make>
data list_data(const std::vector<Item>& items, const Make& make) {
  data list(data::type::list);
  for (const Item& item : items) list.push_back(make(item));
  return list;
}

data cells_data(const std::vector<std::string>& cells) {
  return list_data(cells, [](const std::string& cell) { return data(cell); });
}

// A section that is left out when there is nothing to say.
data said_or_left_out(const std::string& text) {
  return text.empty() ? data(false) : data(text);
}

// Cost and what is possible on top; a sum that does not fit is no sum.
std::int64_t at_most_pusd(const PageFigures& figures) {
  return add_pusd(figures.cost_pusd, figures.possible_pusd).value_or(figures.cost_pusd);
}

std::string sentence(const PageFigures& all, const PageMoney& money) {
  if (all.documents == 0) return "No documents.";
  std::string text = fmt::format("{} of {} for {}", with_commas(all.done),
                                 counted(all.documents, "document"), money.amount(all.cost_pusd));
  if (all.possible_pusd > 0) text += ", at most " + money.at_most(at_most_pusd(all));
  if (all.unpriced_requests == 0) return text + "; 0 unpriced";
  return text +
         fmt::format("; {} unpriced, not in the cost", counted(all.unpriced_requests, "request"));
}

data headline(const char* label, const char* key, const std::string& exact,
              const std::string& shown, const std::string& says) {
  data figure;
  figure.set("key", key);
  figure.set("exact", exact);
  figure.set("shown", shown);
  data out;
  out.set("label", label);
  out.set("figure", figure);
  out.set("says", says);
  return out;
}

std::string of_cost(const PageFigures& all, const PageMoney& money) {
  const std::string beside = beside_cost(all, money);
  return beside.empty() ? "measured" : "measured; " + beside;
}

data headlines(const PageFigures& all, const PageMoney& money) {
  const bool was_sent = all.requests > 0;
  data list(data::type::list);
  list.push_back(headline("Cost", "cost_usd", exact_usd(all.cost_pusd), money.amount(all.cost_pusd),
                          of_cost(all, money)));
  list.push_back(headline("Per document", "average_usd",
                          all.average_pusd ? exact_usd(*all.average_pusd) : "",
                          all.average_pusd ? money.amount(*all.average_pusd) : "-",
                          fmt::format("measured, of {} done", with_commas(all.done))));
  list.push_back(headline("Fallback rate", "fallback_rate", fmt::format("{}", all.fallback_rate),
                          was_sent ? percent_text(all.fallback_rate, 2) : "-",
                          "of documents sent; " + counted(all.fallbacks, "request")));
  list.push_back(headline("Latency, p95", "p95_ms", all.p95_ms ? std::to_string(*all.p95_ms) : "",
                          latency_text(all.p95_ms),
                          all.p50_ms ? "half within " + latency_text(all.p50_ms) : "no answers"));
  return list;
}

std::string width_of(long double part, long double whole) {
  return fmt::format("{:.2f}%", static_cast<double>(100 * part / whole));
}

// The bar is as long as the larger of the cap and what it is held against.
data cap_data(const ReportPage& page, const PageMoney& money) {
  if (!page.cap_pusd || *page.cap_pusd <= 0) return data(false);
  const std::int64_t cost = page.totals.cost_pusd;
  const std::int64_t cap = *page.cap_pusd;
  const auto whole = static_cast<long double>(std::max(cap, at_most_pusd(page.totals)));
  data out;
  out.set("measured", width_of(static_cast<long double>(cost), whole));
  out.set("possible", width_of(static_cast<long double>(page.totals.possible_pusd), whole));
  out.set("mark", cap < at_most_pusd(page.totals) ? width_of(static_cast<long double>(cap), whole)
                                                  : "200%");
  const std::string beside = beside_cost(page.totals, money);
  out.set("says", fmt::format("{} of {}, {}{}{}.", money.amount(cost), money.amount(cap),
                              percent_text(static_cast<double>(cost) / static_cast<double>(cap), 1),
                              beside.empty() ? "" : "; beside it, ", beside));
  return out;
}

// What the table by model shows of its rows; the columns of possible and unpriced only when there
// is something in them.
struct ModelColumns {
  const PageMoney& money;
  bool possible = false;
  bool unpriced = false;
  int cost_decimals = 2;
  int average_decimals = 2;

  ModelColumns(const ReportPage& page, const PageMoney& in) : money(in) {
    std::vector<std::int64_t> costs = {page.totals.cost_pusd, page.totals.possible_pusd};
    std::vector<std::int64_t> averages = {page.totals.average_pusd.value_or(0)};
    possible = page.totals.possible_pusd > 0;
    unpriced = page.totals.unpriced_requests > 0;
    for (const PageRow& row : page.models) {
      costs.push_back(row.figures.cost_pusd);
      averages.push_back(row.figures.average_pusd.value_or(0));
      possible = possible || row.figures.possible_pusd > 0;
      unpriced = unpriced || row.figures.unpriced_requests > 0;
    }
    cost_decimals = money.column_decimals(costs);
    average_decimals = std::max(4, money.column_decimals(averages));
  }

  data headings() const {
    std::vector<std::string> names = {"Model",     "Done",      "Failed", "Requests",   "Retries",
                                      "Fallbacks", "Tokens in", "Cached", "Tokens out", "Cost"};
    if (possible) names.emplace_back("Possible, on top");
    if (unpriced) names.emplace_back("Unpriced requests");
    for (const char* name : {"Per document", "p50", "p95"}) names.emplace_back(name);
    return cells_data(names);
  }

  data row(const std::string& name, const PageFigures& f, bool is_total) const {
    std::vector<std::string> cells = {
        with_commas(f.done),
        with_commas(f.failed),
        with_commas(f.requests),
        with_commas(f.retries),
        with_commas(f.fallbacks),
        with_commas(f.input_tokens),
        f.input_tokens == 0
            ? "-"
            : percent_text(
                  static_cast<double>(f.cached_tokens) / static_cast<double>(f.input_tokens), 1),
        with_commas(f.output_tokens),
        f.cost_pusd == 0 && f.unpriced_requests > 0 ? "unpriced"
                                                    : money.column(f.cost_pusd, cost_decimals)};
    if (possible) cells.push_back(money.column(f.possible_pusd, cost_decimals));
    if (unpriced) cells.push_back(with_commas(f.unpriced_requests));
    cells.push_back(f.average_pusd ? money.column(*f.average_pusd, average_decimals) : "-");
    cells.push_back(latency_text(f.p50_ms));
    cells.push_back(latency_text(f.p95_ms));
    data out;
    out.set("name", name_data(name == "none" && !is_total ? "(never sent)" : name));
    out.set("cells", cells_data(cells));
    out.set("is_total", data(is_total));
    return out;
  }
};

void set_models(data& root, const ReportPage& page, const PageMoney& money) {
  const ModelColumns columns(page, money);
  data rows(data::type::list);
  for (const PageRow& row : page.models) rows.push_back(columns.row(row.name, row.figures, false));
  rows.push_back(columns.row("total", page.totals, true));
  root.set("has_models", data(!page.models.empty()));
  root.set("model_headings", columns.headings());
  root.set("model_rows", rows);
}

data chart_data(const PageChart& chart) {
  data out;
  out.set("id", chart.id);
  out.set("title", chart.title);
  out.set("says", said_or_left_out(chart.says));
  out.set("table_stays", data(chart.table_stays));
  out.set("headings", cells_data(chart.headings));
  out.set("rows", list_data(chart.rows, [](const PageChart::Row& row) {
            data one;
            one.set("name", text_data(row.name));
            one.set("cells", cells_data(row.figures));
            return one;
          }));
  return out;
}

std::string nothing_failed(const ReportPage& page) {
  if (page.totals.requests == 0) return "";
  if (page.errors.empty() && page.fallbacks.empty()) {
    return "Every request was answered, and no document fell back to another model.";
  }
  if (page.errors.empty()) return "Every request was answered.";
  return page.fallbacks.empty() ? "No document fell back to another model." : "";
}

data dearest_data(const ReportPage& page, const PageMoney& money) {
  if (page.dearest.empty()) return data(false);
  std::vector<std::int64_t> costs;
  for (const DearDocument& document : page.dearest) costs.push_back(document.cost_pusd);
  const int decimals = money.column_decimals(costs);
  const std::int64_t largest =
      std::max<std::int64_t>(1, *std::max_element(costs.begin(), costs.end()));
  data out;
  out.set("heading", page.dearest.size() == 1
                         ? "The dearest document"
                         : fmt::format("The {} dearest documents", page.dearest.size()));
  out.set("rows", list_data(page.dearest, [&](const DearDocument& document) {
            data row;
            row.set("name", name_data(document.id));
            row.set("batch", name_data(document.batch));
            row.set("model", name_data(document.model));
            row.set("cells",
                    cells_data({with_commas(document.requests), with_commas(document.input_tokens),
                                with_commas(document.output_tokens),
                                money.column(document.cost_pusd, decimals)}));
            row.set("share", width_of(static_cast<long double>(document.cost_pusd),
                                      static_cast<long double>(largest)));
            return row;
          }));
  return out;
}

data failure_data(const FailureKind& kind) {
  data out;
  out.set("name", name_data(kind.error_class));
  out.set("documents", counted(kind.documents, "document"));
  out.set("examples", list_data(kind.examples, [](const std::string& text) {
            return data("example", text_data(shown_message(text, kShownMessageCharacters)));
          }));
  return out;
}

data prices_data(const std::vector<UsedPrice>& prices) {
  if (prices.empty()) return data(false);
  return data(
      "rows", list_data(prices, [](const UsedPrice& price) {
        data cells(data::type::list);
        for (const std::string& text : {price.provider, price.since, price.rates, price.source}) {
          cells.push_back(data("cell", text_data(shown_message(text, kShownMessageCharacters))));
        }
        data row;
        row.set("name", name_data(price.model));
        row.set("cells", cells);
        return row;
      }));
}

std::string currency_note(const Currency& currency) {
  if (currency.code == "USD") return "";
  return fmt::format("Amounts are shown in {} at {} a USD; docmill counts in USD.",
                     printable_line(currency.code), currency.per_usd);
}

// Nothing is loaded, and only these three texts are style or program.
std::string content_policy() {
  const auto hash = [](std::string_view text) {
    return fmt::format("'sha256-{}'", to_base64(sha256(text)));
  };
  return fmt::format(
      "default-src 'none'; style-src {}; script-src {} {}; base-uri 'none'; "
      "form-action 'none'",
      hash(kPageCss), hash(kChartJs), hash(kPageJs));
}

void set_files(data& root) {
  root.set("csp", content_policy());
  root.set("css", std::string(kPageCss));
  root.set("js", std::string(kPageJs));
  root.set("chart_js", std::string(kChartJs));
  root.set("text", data(kainjow::mustache::partial([] {
             return "<bdi{{#full}} title=\"{{full}}\"{{/full}}>{{shown}}</bdi>";
           })));
}

}  // namespace

std::string report_page(const ReportPage& page) {
  const PageMoney money(page.currency);
  const std::vector<PageChart> charts = page_charts(page, money);
  data root;
  set_files(root);
  root.set("unit", money.unit());
  root.set("title", shown_name(page.title, kShownNameCharacters).shown);
  root.set("name", name_data(page.title));
  root.set("covers", said_or_left_out(printable_line(page.covers)));
  root.set("sentence", sentence(page.totals, money));
  root.set("figures", headlines(page.totals, money));
  root.set("cap", cap_data(page, money));
  set_models(root, page, money);
  root.set("charts", list_data(charts, chart_data));
  root.set("nothing_failed", said_or_left_out(nothing_failed(page)));
  root.set("dearest", dearest_data(page, money));
  root.set("failures", list_data(page.failures, failure_data));
  root.set("no_failures", page.totals.failed == 0 ? "None." : "Their reasons are not known.");
  root.set("prices", prices_data(page.prices));
  root.set("currency_note", said_or_left_out(currency_note(page.currency)));
  root.set("version", printable_line(page.version));
  root.set("made_at", printable_line(page.made_at));
  root.set("command", printable_line(page.command));
  root.set("json", page_json(page, charts));
  kainjow::mustache::mustache html{std::string(kPageHtml)};
  CHECK(html.is_valid());
  return html.render(root);
}

}  // namespace docmill
