// The HTML report's text: what is escaped, what is summed up, what is rounded and how.

#include <nlohmann/json.hpp>
#include <string>

#include "report/page.h"
#include "tests/catch.h"

namespace docmill {
namespace {

using nlohmann::json;

ReportPage small_page() {
  ReportPage page;
  page.title = "q3";
  page.covers = "23 Nov 09:44-09:56 UTC";
  page.made_at = "2026-11-26T10:00:00Z";
  page.version = "1";
  page.command = "docmill report q3 --format html";
  page.totals.documents = 3;
  page.totals.done = 2;
  page.totals.failed = 1;
  page.totals.requests = 4;
  page.totals.cost_pusd = 1'234'567'890'123;
  page.totals.average_pusd = 617'283'945'061;
  page.models.push_back({"m", page.totals});
  page.days = {{"2026-11-23", "m", 1'000'000'000'000}, {"2026-11-24", "m", 234'567'890'123}};
  page.cumulative = {{1'000, 1'000'000'000'000}, {90'000'000, 1'234'567'890'123}};
  page.latencies = {{100, 200, 3}, {200, 500, 1}};
  return page;
}

json embedded(const std::string& html) {
  const std::string mark = "<script type=\"application/json\" id=\"docmill-report\">";
  const std::size_t from = html.find(mark);
  REQUIRE(from != std::string::npos);
  const std::size_t begin = from + mark.size();
  return json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

}  // namespace

TEST_CASE("the page has every digit in its JSON and rounds for the reader", "[page]") {
  const std::string html = report_page(small_page());
  CHECK(embedded(html).at("totals").at("cost_usd") == "1.234567890123");
  CHECK(html.find("$1.23<") != std::string::npos);
  CHECK(html.find("data-figure=\"cost_usd\" value=\"1.234567890123\"") != std::string::npos);
}

TEST_CASE("no text from outside becomes part of the page's code", "[page]") {
  const std::string evil = "</script><img src=x onerror=alert(1)>{{json}}\"'&";
  ReportPage page = small_page();
  const std::size_t scripts = occurrences(report_page(page), "<script");
  page.title = page.command = page.models[0].name = page.days[0].model = evil;
  page.dearest = {{evil, evil, evil, 1, 1, 1, 5'000}};
  page.failures = {{evil, 1, {evil + ": " + evil}}};
  page.errors = {{evil, 2}};
  page.fallbacks = {{evil, 2}};
  page.prices = {{evil, evil, evil, evil, evil}};
  page.what_ifs = {{evil, 5, 5, 5}};
  const std::string html = report_page(page);
  CHECK(occurrences(html, "<script") == scripts);
  CHECK(html.find("<img") == std::string::npos);
  CHECK(occurrences(html, "id=\"docmill-report\"") == 1);  // {{json}} was not filled in again
  CHECK(embedded(html).at("dearest").at(0).at("id") == evil);
}

TEST_CASE("an id of any bytes and any length leaves the page whole", "[page]") {
  ReportPage page = small_page();
  page.dearest = {{std::string(100'000, 'x'), "q3", "m", 1, 1, 1, 5'000},
                  {"\xff\xfe\x80 no utf-8", "q3", "m", 1, 1, 1, 5'000},
                  {std::string("nul\0in it\x1b[31m", 14), "q3", "m", 1, 1, 1, 5'000}};
  const std::string html = report_page(page);
  CHECK(html.find(std::string(10'000, 'x')) != std::string::npos);  // in the JSON, all of it
  CHECK(html.find('\0') == std::string::npos);
  CHECK(html.find('\x1b') == std::string::npos);
  CHECK(html.find('\xff') == std::string::npos);
  CHECK(html.ends_with("</html>\n"));
}

TEST_CASE("more models and days than a chart can show are summed up, and the sum stays", "[page]") {
  ReportPage page = small_page();
  page.days.clear();
  std::int64_t total_pusd = 0;
  for (int day = 0; day < 1'000; ++day) {
    for (int model = 0; model < 30; ++model) {
      const std::int64_t pusd = 1'000'000'000 + day * model;
      const int year = 2024 + day / 360, month = day / 30 % 12 + 1, of_month = day % 30 + 1;
      if (month == 2 && of_month > 28) continue;
      char text[32];
      std::snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, of_month);
      page.days.push_back({text, "model-" + std::to_string(model), pusd});
      total_pusd += pusd;
    }
  }
  const json charts = embedded(report_page(page)).at("charts");
  const json& chart = charts.at(0);
  CHECK(chart.at("series").size() <= 8);
  CHECK(chart.at("labels").size() <= 100);
  long double sum = 0;
  for (const json& series : chart.at("series")) {
    for (const json& value : series.at("values")) {
      sum += std::stold(value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  CHECK(static_cast<double>(sum) == Approx(static_cast<double>(total_pusd) / 1e12));
}

TEST_CASE("a report of nothing says so", "[page]") {
  ReportPage page;
  page.title = "empty";
  const std::string html = report_page(page);
  CHECK(html.find("Nothing was sent yet.") != std::string::npos);
  CHECK(embedded(html).at("charts").empty());
}

TEST_CASE("another currency is shown, and the JSON stays in USD", "[page]") {
  ReportPage page = small_page();
  page.currency = {"EUR", 0.5};
  const std::string html = report_page(page);
  CHECK(html.find("EUR\u00a00.6173") != std::string::npos);
  CHECK(embedded(html).at("totals").at("cost_usd") == "1.234567890123");
}

}  // namespace docmill
