#pragma once

// Results as CSV: a row a document, and of an extraction a column a property of its schema.

#include <string>
#include <vector>

#include "store/reader.h"

namespace docmill {

class ResultsCsv {
 public:
  // `schema`: the text of the extraction's JSON Schema; empty: the answers are texts.
  explicit ResultsCsv(const std::string& schema);

  std::string header() const;
  // Nested values as JSON in their cell; what a spreadsheet would take for a formula is text.
  std::string row(const ResultRow& row) const;

 private:
  bool is_json_ = false;
  std::vector<std::string>
      columns_;  // of the schema's properties, in its order; empty: one "output"
};

}  // namespace docmill
