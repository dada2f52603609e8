#pragma once

// A table for a terminal: columns as wide as their widest cell, numbers to the right.

#include <string>
#include <vector>

namespace docmill {

class Table {
 public:
  // A heading that starts with '>' is of a column that is aligned to the right.
  explicit Table(std::vector<std::string> headings);
  void add(std::vector<std::string> cells);
  // Each line ends with a newline; cells are made printable.
  std::string text() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that a text takes on a terminal.
std::size_t display_width(const std::string& text);

// One CSV record by RFC 4180. A text that a spreadsheet would take for a formula gets a ' in front
// (OWASP, CSV injection); numbers are left alone.
struct CsvCell {
  std::string value = {};
  bool is_number = false;
};
std::string csv_record(const std::vector<CsvCell>& cells);

}  // namespace docmill
