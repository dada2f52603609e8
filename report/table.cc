#include "report/table.h"

#include <utf8.h>
#include <wchar.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace docmill {

Table::Table(std::vector<std::string> headings) {
  for (std::string& heading : headings) {
    right_.push_back(heading.starts_with('>'));
    if (right_.back()) heading.erase(0, 1);
    headings_.push_back(std::move(heading));
  }
}

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == headings_.size());
  for (std::string& cell : cells) cell = printable_line(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings_) widths.push_back(display_width(heading));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string pad(widths[i] - display_width(cells[i]), ' ');
      line += (i == 0 ? "" : "  ") + (right_[i] ? pad + cells[i] : cells[i] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line(headings_);
  for (const auto& row : rows_) add_line(row);
  return out;
}

std::size_t display_width(const std::string& text) {
  std::size_t width = 0;
  for (auto it = text.begin(); it != text.end();) {
    const int columns = wcwidth(static_cast<wchar_t>(utf8::next(it, text.end())));
    width += columns > 0 ? static_cast<std::size_t>(columns) : 0;
  }
  return width;
}

std::string csv_record(const std::vector<CsvCell>& cells) {
  std::string record;
  for (const CsvCell& cell : cells) {
    if (&cell != &cells.front()) record += ',';
    if (cell.is_number) {
      record += cell.value;
      continue;
    }
    std::string value = cell.value;
    if (!value.empty() && std::string_view("=+-@\t\r").find(value.front()) != std::string::npos) {
      value.insert(0, "'");
    }
    const bool must_quote = value.find_first_of(",\"\r\n") != std::string::npos;
    if (!must_quote) {
      record += value;
      continue;
    }
    record += '"';
    for (const char c : value) {
      if (c == '"') record += '"';
      record += c;
    }
    record += '"';
  }
  return record + "\r\n";
}

}  // namespace docmill
