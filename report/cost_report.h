#pragma once

// The cost report: ledger rows into groups.
//
// A request counts in its own row, a document in the row of its last attempt ("none" when it was
// never sent). Groups are held in memory. Rows of single documents or requests are not: the store
// is read once for the totals and again for the rows, so a million of them take no more room.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/figures.h"
#include "report/groups.h"
#include "report/report_source.h"

namespace docmill {

struct ReportRow {
  std::vector<std::string> keys;  // as CostReport::columns() names them
  Figures figures;
};

struct ReportRange {
  std::optional<std::int64_t> since_ms;  // of the attempt's opening
  std::optional<std::int64_t> until_ms;  // exclusive
  bool has(std::int64_t at_ms) const {
    return at_ms >= since_ms.value_or(at_ms) && (!until_ms || at_ms < *until_ms);
  }
};

struct WhatIf {
  std::string model;
  Price price;
};

struct ReportWish {
  std::vector<GroupBy> groups;
  ReportRange range;
  std::vector<WhatIf> what_ifs;
  // What an attempt with known usage costs by other prices; nothing: it has none there. Absent: the
  // ledger's own costs.
  std::function<std::optional<std::int64_t>(const CountedAttempt&)> reprice;
};

class CostReport {
 public:
  using TakeRow = std::function<void(const ReportRow&)>;

  // Reads the source for the totals. `source` must outlive it.
  CostReport(ReportSource& source, ReportWish wish);

  const ReportWish& wish() const { return wish_; }
  std::vector<std::string> columns() const { return key_columns(wish_.groups); }
  const Figures& totals() const { return totals_; }
  // The average latency of the fastest row. Nothing: nothing was answered.
  std::optional<double> fastest_ms() const { return fastest_ms_; }
  // From the first request's opening to the last one's. Nothing: there was none.
  struct Span {
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
  };
  const std::optional<Span>& span() const { return span_; }

  void each_row(const TakeRow& take);

 private:
  void count(const CountedAttempt& attempt, Figures& figures) const;
  // The attempt, or its copy by other prices, until the next call.
  const CountedAttempt& priced(const CountedAttempt& attempt);
  void add_job(const CountedJob& job);
  void add_attempt(const CountedAttempt& attempt);
  void add_document(const JobRow& job, const std::vector<AttemptRow>& attempts);
  void each_document(const TakeRow& take);
  void each_request(const TakeRow& take);
  Figures& group_at(std::vector<std::string> keys);
  void note_fastest(std::optional<double> average_ms);

  ReportSource& source_;
  ReportWish wish_;
  CountedAttempt repriced_;
  bool lists_jobs_ = false;
  bool lists_attempts_ = false;
  Figures totals_;
  std::optional<double> fastest_ms_;
  std::optional<Span> span_;
  std::vector<ReportRow> rows_;
  std::map<std::vector<std::string>, std::size_t> index_;
};

}  // namespace docmill
