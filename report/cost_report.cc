#include "report/cost_report.h"

#include <algorithm>

namespace docmill {
namespace {

bool is_of_time(GroupBy group) {
  return group == GroupBy::day || group == GroupBy::week || group == GroupBy::month;
}

}  // namespace

CostReport::CostReport(ReportSource& source, ReportWish wish)
    : source_(source),
      wish_(std::move(wish)),
      lists_jobs_(has_group(wish_.groups, GroupBy::job)),
      lists_attempts_(has_group(wish_.groups, GroupBy::attempt)) {
  totals_.what_if_pusd.resize(wish_.what_ifs.size());
  if (lists_jobs_) {
    source_.each_document(
        [&](const JobRow& job, const auto& attempts) { add_document(job, attempts); });
  } else {
    source_.each_counted([&](const CountedJob& job) { add_job(job); },
                         [&](const CountedAttempt& attempt) { add_attempt(attempt); });
  }
  for (const ReportRow& row : rows_) note_fastest(row.figures.latencies.average_ms());
  if (std::any_of(wish_.groups.begin(), wish_.groups.end(), is_of_time)) {
    std::stable_sort(rows_.begin(), rows_.end(),
                     [](const ReportRow& a, const ReportRow& b) { return a.keys < b.keys; });
  }
}

const CountedAttempt& CostReport::priced(const CountedAttempt& attempt) {
  if (!wish_.reprice || !attempt.usage) return attempt;
  repriced_ = attempt;
  repriced_.cost_pusd = wish_.reprice(attempt);
  repriced_.cost_basis = repriced_.cost_pusd ? "usage" : "unpriced";
  return repriced_;
}

void CostReport::count(const CountedAttempt& attempt, Figures& figures) const {
  count_attempt(figures, attempt);
  figures.what_if_pusd.resize(wish_.what_ifs.size());
  if (!attempt.usage) return;
  for (std::size_t i = 0; i < wish_.what_ifs.size(); ++i) {
    figures.what_if_pusd[i] +=
        cost_pusd(*attempt.usage, wish_.what_ifs[i].price, "", attempt.opened_at_ms).value_or(0);
  }
}

void CostReport::add_job(const CountedJob& job) {
  if (!wish_.range.has(job.at_ms) || job.is_superseded) return;
  count_job(totals_, job);
  if (!lists_jobs_ && !lists_attempts_) count_job(group_at(keys_of(wish_.groups, job)), job);
}

void CostReport::add_attempt(const CountedAttempt& given) {
  if (!wish_.range.has(given.opened_at_ms)) return;
  const CountedAttempt& attempt = priced(given);
  count(attempt, totals_);
  if (!span_) span_ = Span{attempt.opened_at_ms, attempt.opened_at_ms};
  span_->first_ms = std::min(span_->first_ms, attempt.opened_at_ms);
  span_->last_ms = std::max(span_->last_ms, attempt.opened_at_ms);
  if (lists_attempts_) {
    const bool counts = attempt.outcome == "answered" && attempt.total_ms.value_or(0) > 0;
    if (counts) note_fastest(static_cast<double>(*attempt.total_ms));
    return;
  }
  if (!lists_jobs_) count(attempt, group_at(keys_of(wish_.groups, attempt)));
}

void CostReport::add_document(const JobRow& job, const std::vector<AttemptRow>& attempts) {
  add_job(job);
  Figures own;
  for (const AttemptRow& attempt : attempts) {
    if (!wish_.range.has(attempt.opened_at_ms)) continue;
    add_attempt(attempt);
    count(priced(attempt), own);
  }
  note_fastest(own.latencies.average_ms());
}

Figures& CostReport::group_at(std::vector<std::string> keys) {
  const auto [place, is_new] = index_.try_emplace(keys, rows_.size());
  if (is_new) rows_.push_back({std::move(keys), {}});
  return rows_[place->second].figures;
}

void CostReport::note_fastest(std::optional<double> average_ms) {
  if (!average_ms || *average_ms <= 0) return;
  fastest_ms_ = std::min(fastest_ms_.value_or(*average_ms), *average_ms);
}

void CostReport::each_row(const TakeRow& take) {
  if (lists_jobs_) return each_document(take);
  if (lists_attempts_) return each_request(take);
  for (const ReportRow& row : rows_) take(row);
}

// A text that another has superseded has a row of its own where requests were made for it, so that
// the rows add up to the totals.
void CostReport::each_document(const TakeRow& take) {
  source_.each_document([&](const JobRow& job, const std::vector<AttemptRow>& attempts) {
    ReportRow row{keys_of(wish_.groups, job), {}};
    row.figures.what_if_pusd.resize(wish_.what_ifs.size());
    if (wish_.range.has(job.at_ms)) count_job(row.figures, job);
    for (const AttemptRow& attempt : attempts) {
      if (wish_.range.has(attempt.opened_at_ms)) count(priced(attempt), row.figures);
    }
    if (row.figures.jobs > 0 || row.figures.requests > 0) take(row);
  });
}

void CostReport::each_request(const TakeRow& take) {
  source_.each_attempt([&](const AttemptRow& given) {
    if (!wish_.range.has(given.opened_at_ms)) return;
    AttemptRow attempt = given;
    static_cast<CountedAttempt&>(attempt) = priced(given);
    ReportRow row{keys_of(wish_.groups, attempt), {}};
    count(attempt, row.figures);
    take(row);
  });
}

}  // namespace docmill
