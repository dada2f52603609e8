#pragma once

// The charts of the HTML report, ready to draw, each with the table that says the same. What is too
// much for one chart is summed up here: days to weeks, months or years, the smallest series and
// bars to "other". Both the page's JSON and its tables are written from this.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/page_text.h"

namespace docmill {

struct ChartSeries {
  std::string name;
  std::vector<std::int64_t> values;  // one a label; pusd or a count
};

struct PageChart {
  // stack: upright bars, series on top of one another. bars: upright. rows: lying bars. line: over
  // time, from at_ms.
  enum class Kind { stack, bars, rows, line };

  std::string id;
  std::string title;
  std::string says;  // what it shows, in a sentence
  Kind kind = Kind::bars;
  bool is_money = false;
  std::vector<std::string> labels;
  std::vector<std::int64_t> at_ms;  // of a line's points
  std::vector<ChartSeries> series;
  std::optional<std::int64_t> cap_pusd;  // a line across

  std::vector<std::string> headings;
  struct Row {
    ShownText name;
    std::vector<std::string> figures;
  };
  std::vector<Row> rows;
  bool table_stays = false;  // beside its chart, too
};

// Those that there is something to draw in. Texts in them are shortened and safe on a canvas.
std::vector<PageChart> page_charts(const ReportPage& page, const PageMoney& money);

// The first of them: cost by day and model, or by model alone when all was on one day.
std::optional<PageChart> cost_by_day(const ReportPage& page, const PageMoney& money);

}  // namespace docmill
