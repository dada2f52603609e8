#pragma once

// What a provider says was used, for `report --usage` and `--reconcile`:
//
//   JSON  OpenAI's usage API (GET /v1/organization/usage/completions): a page, or an array of pages
//   CSV   OpenAI's export of the same, or any with a header that names model and tokens
//
// Input includes cached tokens, as OpenAI counts it; a CSV whose cached tokens exceed its input has
// them apart.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/report_source.h"

namespace docmill {

struct UsageRecord {
  std::string model;
  std::string service_tier;
  std::int64_t from_ms = 0;
  std::int64_t until_ms = 0;  // exclusive
  std::int64_t requests = 0;
  Usage usage;                            // each bucket within kMaxTokens
  std::optional<std::int64_t> cost_pusd;  // what the file itself says
};

struct UsageFile {
  std::string name;
  bool is_openai = false;
  std::vector<UsageRecord> records;
  // The time that they cover; 0 and 0: the file does not say when.
  std::int64_t from_ms = 0;
  std::int64_t until_ms = 0;
};

// Throws UsageError that names file, line and column.
UsageFile read_usage_file(const std::filesystem::path& file);
UsageFile parse_usage_json(std::string_view text, const std::string& name);
UsageFile parse_usage_csv(std::string_view text, const std::string& name);

// A file's records as a report's requests, priced by `price`; nothing: unpriced.
class UsageSource : public ReportSource {
 public:
  using PriceOf = std::function<std::optional<Price>(const UsageRecord&)>;
  UsageSource(const UsageFile& file, PriceOf price) : file_(file), price_(std::move(price)) {}
  void each_counted(const TakeCountedJob& take_job,
                    const TakeCountedAttempt& take_attempt) override;
  void each_attempt(const TakeAttempt& take) override;
  void each_document(const TakeDocument& take) override;

 private:
  const UsageFile& file_;
  PriceOf price_;
};

}  // namespace docmill
