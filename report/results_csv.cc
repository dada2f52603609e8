#include "report/results_csv.h"

#include <nlohmann/json.hpp>

#include "base/money.h"
#include "llm/json_text.h"
#include "report/table.h"

namespace docmill {
namespace {

CsvCell cell_of(const nlohmann::json& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return {value.get<std::string>()};
  return {to_text(value), value.is_number()};
}

}  // namespace

ResultsCsv::ResultsCsv(const std::string& schema) : is_json_(!schema.empty()) {
  if (!is_json_) return;
  const auto parsed = nlohmann::ordered_json::parse(schema, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("properties")) return;
  for (const auto& [name, unused] : parsed.at("properties").items()) columns_.push_back(name);
}

std::string ResultsCsv::header() const {
  std::vector<CsvCell> cells = {{"id"}, {"state"}};
  if (columns_.empty()) cells.push_back({"output"});
  for (const std::string& name : columns_) cells.push_back({name});
  for (const char* name : {"model", "cost_usd", "error_class", "error_message", "source"}) {
    cells.push_back({name});
  }
  return csv_record(cells);
}

std::string ResultsCsv::row(const ResultRow& row) const {
  std::vector<CsvCell> cells = {{row.item_key}, {row.state}};
  const std::string output = row.output.value_or("");
  if (columns_.empty()) {
    cells.push_back({output});
  } else {
    const auto value = parse_json(output);
    for (const std::string& name : columns_) {
      const bool has = value && value->is_object() && value->contains(name);
      cells.push_back(has ? cell_of(value->at(name)) : CsvCell{});
    }
  }
  cells.push_back({row.model});
  cells.push_back(row.is_unpriced ? CsvCell{} : CsvCell{exact_usd(row.cost_pusd), true});
  cells.push_back({row.error_class});
  cells.push_back({row.error_message});
  cells.push_back({row.source});
  return csv_record(cells);
}

}  // namespace docmill
