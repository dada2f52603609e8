#include "report/usage_file.h"

#include <csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostFileBytes = 256 << 20;
constexpr std::size_t kMostRecords = 2'000'000;
constexpr double kMostCount = 1e14;

enum class Column {
  from,
  until,
  model,
  requests,
  input,
  fresh,
  cached,
  write,
  output,
  cost,
  tier,
  batch
};

struct ColumnName {
  const char* name;
  Column column;
};
// Of OpenAI's export, of ours, and of what others call them.
constexpr ColumnName kColumnNames[] = {{"start_time", Column::from},
                                       {"start_time_iso", Column::from},
                                       {"opened_at", Column::from},
                                       {"timestamp", Column::from},
                                       {"time", Column::from},
                                       {"created_at", Column::from},
                                       {"date", Column::from},
                                       {"day", Column::from},
                                       {"usage_date", Column::from},
                                       {"end_time", Column::until},
                                       {"end_time_iso", Column::until},
                                       {"model", Column::model},
                                       {"model_name", Column::model},
                                       {"model_version", Column::model},
                                       {"num_model_requests", Column::requests},
                                       {"requests", Column::requests},
                                       {"request_count", Column::requests},
                                       {"input_tokens", Column::input},
                                       {"prompt_tokens", Column::input},
                                       {"input_uncached_tokens", Column::fresh},
                                       {"uncached_input_tokens", Column::fresh},
                                       {"prompt_cache_miss_tokens", Column::fresh},
                                       {"input_cached_tokens", Column::cached},
                                       {"cached_tokens", Column::cached},
                                       {"cached_input_tokens", Column::cached},
                                       {"cache_read_tokens", Column::cached},
                                       {"cache_read_input_tokens", Column::cached},
                                       {"prompt_cache_hit_tokens", Column::cached},
                                       {"cache_write_tokens", Column::write},
                                       {"cache_creation_tokens", Column::write},
                                       {"cache_creation_input_tokens", Column::write},
                                       {"output_tokens", Column::output},
                                       {"completion_tokens", Column::output},
                                       {"cost_usd", Column::cost},
                                       {"cost", Column::cost},
                                       {"total_cost", Column::cost},
                                       {"amount_value", Column::cost},
                                       {"service_tier", Column::tier},
                                       {"batch", Column::batch}};

// Seconds since 1970, or ISO; with an offset of +00:00 or none.
std::optional<std::int64_t> time_of(std::string text) {
  if (text.ends_with("+00:00")) text.resize(text.size() - 6);
  if (const std::size_t dot = text.find('.'); dot != std::string::npos) text.resize(dot);
  if (text.size() > 10 && text[10] == ' ') text[10] = 'T';
  if (const auto at_ms = parse_iso_time(text)) return at_ms;
  if (text.empty() || text.size() > 13 ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  const std::int64_t number = std::stoll(text);
  return text.size() > 11 ? number : number * 1000;
}

// "3", "3.0", "1,204". Nothing: it is no count.
std::optional<std::int64_t> count_of(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ','), text.end());
  if (text.empty()) return 0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value >= 0 && value <= kMostCount) || value != std::floor(value)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(value);
}

// A day's bucket may have more tokens than one request can, by which costs are bounded.
void add_record(UsageFile& file, UsageRecord record) {
  std::int64_t Usage::*const buckets[] = {&Usage::fresh_tokens, &Usage::cached_tokens,
                                          &Usage::cache_write_tokens, &Usage::output_tokens};
  for (;;) {
    if (file.records.size() >= kMostRecords) {
      throw UsageError(fmt::format("{}: more than {} records", file.name, kMostRecords));
    }
    UsageRecord part = record;
    bool is_more = false;
    for (const auto bucket : buckets) {
      part.usage.*bucket = std::min(record.usage.*bucket, kMaxTokens);
      record.usage.*bucket -= part.usage.*bucket;
      is_more |= record.usage.*bucket > 0;
    }
    file.records.push_back(part);
    if (!is_more) break;
    record.requests = 0;
    if (record.cost_pusd) record.cost_pusd = 0;
  }
  if (record.from_ms == 0) return;
  if (file.from_ms == 0 || record.from_ms < file.from_ms) file.from_ms = record.from_ms;
  file.until_ms = std::max({file.until_ms, record.until_ms, record.from_ms + 1});
}

// What the cells of one line say, by column.
using Line = std::map<Column, std::string>;

struct Reading {
  UsageFile& file;
  std::int64_t line = 1;
  std::vector<std::string> cells;
  std::vector<std::optional<Column>> columns;
  std::string problem;  // libcsv is C: nothing is thrown through it

  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError(fmt::format("{}:{}: {}", file.name, line, what));
  }

  void read_header() {
    std::map<Column, std::size_t> seen;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string name = lower_ascii(trimmed(cells[i]));
      std::replace(name.begin(), name.end(), ' ', '_');
      if (name == "num_model_requests") file.is_openai = true;
      columns.emplace_back();
      for (const ColumnName& known : kColumnNames) {
        if (name == known.name && seen.emplace(known.column, i).second) {
          columns.back() = known.column;
        }
      }
    }
    const bool has_tokens = seen.contains(Column::input) || seen.contains(Column::fresh);
    if (!seen.contains(Column::model) || !has_tokens || !seen.contains(Column::output)) {
      fail(
          "the header must name \"model\", \"input_tokens\" and \"output_tokens\"; a usage export "
          "without them, as one that was not grouped by model, cannot be read");
    }
  }

  std::int64_t count(const Line& line_cells, Column column) const {
    const auto cell = line_cells.find(column);
    if (cell == line_cells.end()) return 0;
    const auto value = count_of(cell->second);
    if (!value) fail(fmt::format("\"{}\" is no count", printable_line(cell->second)));
    return *value;
  }

  void read_line() {
    Line said;
    for (std::size_t i = 0; i < std::min(cells.size(), columns.size()); ++i) {
      if (columns[i]) said[*columns[i]] = std::string(trimmed(cells[i]));
    }
    UsageRecord record;
    record.model = said[Column::model];
    record.requests = said.contains(Column::requests) ? count(said, Column::requests) : 1;
    if (const std::string from = said[Column::from]; !from.empty()) {
      const auto from_ms = time_of(from);
      if (!from_ms) fail(fmt::format("\"{}\" is no time", printable_line(from)));
      record.from_ms = *from_ms;
      record.until_ms = time_of(said[Column::until]).value_or(*from_ms + 1);
    }
    record.usage = usage_of(said);
    if (record.model.empty()) {
      if (record.usage == Usage{}) return;  // an empty bucket
      fail("no model: group the export by model");
    }
    record.service_tier = said[Column::tier];
    if (lower_ascii(said[Column::batch]) == "true") record.service_tier = "batch";
    if (const std::string cost = said[Column::cost]; !cost.empty()) {
      record.cost_pusd = amount_of(cost);
    }
    add_record(file, record);
  }

  Usage usage_of(const Line& said) const {
    Usage usage;
    usage.cached_tokens = count(said, Column::cached);
    usage.cache_write_tokens = count(said, Column::write);
    usage.output_tokens = count(said, Column::output);
    if (said.contains(Column::fresh)) {
      usage.fresh_tokens = count(said, Column::fresh);
      return usage;
    }
    const std::int64_t input = count(said, Column::input);
    const std::int64_t apart = usage.cached_tokens + usage.cache_write_tokens;
    usage.fresh_tokens = apart <= input ? input - apart : input;
    return usage;
  }

  std::int64_t amount_of(const std::string& text) const {
    if (const auto exact = parse_usd(text)) return *exact;
    char* end = nullptr;
    const double usd = std::strtod(text.c_str(), &end);
    if (*end != '\0' || !(usd >= 0 && usd < 1e6)) {
      fail(fmt::format("\"{}\" is no amount in USD", printable_line(text)));
    }
    return std::llround(usd * 1e12);
  }
};

void take_cell(void* bytes, std::size_t size, void* reading) {
  static_cast<Reading*>(reading)->cells.emplace_back(static_cast<const char*>(bytes), size);
}

void take_line(int, void* data) {
  auto& reading = *static_cast<Reading*>(data);
  try {
    if (reading.problem.empty())
      reading.columns.empty() ? reading.read_header() : reading.read_line();
  } catch (const UsageError& error) {
    reading.problem = error.what();
  }
  reading.cells.clear();
  ++reading.line;
}

void read_results(const json& bucket, UsageFile& file) {
  const auto at = [&](const char* key) -> std::int64_t {
    const auto it = bucket.find(key);
    return it != bucket.end() && it->is_number_integer() ? it->get<std::int64_t>() * 1000 : 0;
  };
  const auto results = bucket.find("results");
  if (results == bucket.end() || !results->is_array()) return;
  for (const json& result : *results) {
    if (!result.is_object()) continue;
    const auto count = [&](const char* key) -> std::int64_t {
      const auto it = result.find(key);
      if (it == result.end() || it->is_null()) return 0;
      const double value = it->is_number() ? it->get<double>() : -1;
      if (!(value >= 0 && value <= kMostCount)) {
        throw UsageError(fmt::format("{}: \"{}\" is no count", file.name, key));
      }
      return static_cast<std::int64_t>(value);
    };
    UsageRecord record;
    const auto model = result.find("model");
    if (model != result.end() && model->is_string()) record.model = model->get<std::string>();
    record.from_ms = at("start_time");
    record.until_ms = at("end_time");
    record.requests = count("num_model_requests");
    record.usage.cached_tokens = count("input_cached_tokens");
    record.usage.fresh_tokens =
        std::max<std::int64_t>(0, count("input_tokens") - record.usage.cached_tokens);
    record.usage.output_tokens = count("output_tokens");
    const auto tier = result.find("service_tier");
    if (tier != result.end() && tier->is_string()) record.service_tier = tier->get<std::string>();
    const auto batch = result.find("batch");
    if (batch != result.end() && batch->is_boolean() && batch->get<bool>()) {
      record.service_tier = "batch";
    }
    if (record.model.empty()) {
      throw UsageError(
          fmt::format("{}: a result has no model; ask with group_by=model", file.name));
    }
    add_record(file, record);
  }
}

}  // namespace

UsageFile parse_usage_json(std::string_view text, const std::string& name) {
  json pages = json::parse(text, nullptr, false);
  if (pages.is_object()) pages = json::array({pages});
  UsageFile file;
  file.name = name;
  file.is_openai = true;
  bool has_data = false;
  for (const json& page : pages.is_array() ? pages : json::array()) {
    if (!page.is_object()) continue;
    const auto data = page.find("data");
    if (data == page.end() || !data->is_array()) continue;
    has_data = true;
    for (const json& bucket : *data) {
      if (bucket.is_object()) read_results(bucket, file);
    }
  }
  if (!has_data) throw UsageError(fmt::format("{}: no usage page {{\"data\": [...]}}", name));
  return file;
}

UsageFile parse_usage_csv(std::string_view text, const std::string& name) {
  UsageFile file;
  file.name = name;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  Reading reading{file, 1, {}, {}, {}};
  csv_parser parser;
  CHECK(csv_init(&parser, CSV_APPEND_NULL) == 0);
  const struct Free {
    csv_parser* parser;
    ~Free() { csv_free(parser); }
  } free{&parser};
  const std::size_t read =
      csv_parse(&parser, text.data(), text.size(), take_cell, take_line, &reading);
  if (read != text.size()) reading.fail(csv_strerror(csv_error(&parser)));
  csv_fini(&parser, take_cell, take_line, &reading);
  if (!reading.problem.empty()) throw UsageError(reading.problem);
  if (reading.columns.empty()) throw UsageError(fmt::format("{}: empty", name));
  return file;
}

UsageFile read_usage_file(const std::filesystem::path& path) {
  const std::string text = read_named_file(path, kMostFileBytes);
  const std::size_t first = text.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  const bool is_json = first != std::string::npos && (text[first] == '{' || text[first] == '[');
  return is_json ? parse_usage_json(text, path.filename().string())
                 : parse_usage_csv(text, path.filename().string());
}

void UsageSource::each_counted(const TakeCountedJob&, const TakeCountedAttempt& take_attempt) {
  each_attempt(take_attempt);
}

void UsageSource::each_document(const TakeDocument&) {}

void UsageSource::each_attempt(const TakeAttempt& take) {
  AttemptRow row;
  row.batch = file_.name;
  row.task = row.tenant = "none";
  for (const UsageRecord& record : file_.records) {
    row.model = row.model_returned = record.model;
    row.service_tier = record.service_tier;
    row.opened_at_ms = record.from_ms;
    row.requests = record.requests;
    row.usage = record.usage;
    row.reported_pusd = record.cost_pusd;
    std::optional<Price> price = price_(record);
    if (price && record.requests != 1) {  // a sum of requests tells the size of none
      std::erase_if(price->variants, [](const PriceVariant& v) { return v.above_tokens > 0; });
    }
    row.cost_pusd.reset();
    if (price) {
      row.cost_pusd = cost_pusd(record.usage, *price, record.service_tier, record.from_ms);
    }
    row.cost_basis = "usage";
    if (!row.cost_pusd && record.cost_pusd) {
      row.cost_pusd = record.cost_pusd;
      row.cost_basis = "provider";
    } else if (!row.cost_pusd) {
      row.cost_basis = "unpriced";
    }
    take(row);
  }
}

}  // namespace docmill
