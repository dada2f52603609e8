#include "report/cost_report.h"

#include <fmt/format.h>

#include <ctime>
#include <map>

#include "base/clock.h"
#include "base/errors.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

struct GroupName {
  GroupBy group;
  const char* name;
};
constexpr GroupName kGroupNames[] = {
    {GroupBy::batch, "batch"}, {GroupBy::model, "model"},    {GroupBy::provider, "provider"},
    {GroupBy::route, "route"}, {GroupBy::task, "task"},      {GroupBy::tenant, "tenant"},
    {GroupBy::day, "day"},     {GroupBy::week, "week"},      {GroupBy::month, "month"},
    {GroupBy::job, "job"},     {GroupBy::attempt, "attempt"}};

// "2026-W48": the ISO week of that UTC day.
std::string iso_week(std::int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%G-W%V", &parts);
  return text;
}

std::string money_or_empty(const std::optional<std::int64_t>& amount_pusd) {
  return amount_pusd ? exact_usd(*amount_pusd) : "";
}

// What a row of the ledger, or a document, is grouped by.
struct Subject {
  const std::string& batch;
  const std::string& task;
  const std::string& tenant;
  const std::string& provider;
  const std::string& model;
  const std::string& route;
  std::int64_t at_ms;
};

std::string key_of(GroupBy group, const Subject& subject) {
  const auto or_none = [](const std::string& text) { return text.empty() ? "none" : text; };
  switch (group) {
    case GroupBy::batch:
      return subject.batch;
    case GroupBy::task:
      return subject.task;
    case GroupBy::tenant:
      return subject.tenant;
    case GroupBy::provider:
      return or_none(subject.provider);
    case GroupBy::model:
      return or_none(subject.model);
    case GroupBy::route:
      return or_none(subject.route);
    case GroupBy::day:
      return iso_day(subject.at_ms);
    case GroupBy::week:
      return iso_week(subject.at_ms);
    case GroupBy::month:
      return iso_day(subject.at_ms).substr(0, 7);
    case GroupBy::job:
    case GroupBy::attempt:
      break;
  }
  return {};
}

void count_attempt(Figures& figures, const AttemptRow& attempt) {
  ++figures.requests;
  if (attempt.kind == "retry") ++figures.retries;
  if (attempt.kind == "fallback") ++figures.fallbacks;
  figures.cost_pusd += attempt.cost_pusd.value_or(0);
  const bool is_unknown = attempt.cost_basis == "unknown" || attempt.is_open;
  if (is_unknown) {
    ++figures.unknown_requests;
    figures.possible_pusd += attempt.ceiling_pusd.value_or(0);
  }
  if (attempt.cost_basis == "unpriced" || (is_unknown && !attempt.ceiling_pusd)) {
    ++figures.unpriced_requests;
  }
  if (attempt.usage) {
    figures.tokens.fresh_tokens += attempt.usage->fresh_tokens;
    figures.tokens.cached_tokens += attempt.usage->cached_tokens;
    figures.tokens.cache_write_tokens += attempt.usage->cache_write_tokens;
    figures.tokens.output_tokens += attempt.usage->output_tokens;
    figures.tokens.reasoning_tokens += attempt.usage->reasoning_tokens;
  }
  if (attempt.outcome == "answered" && attempt.total_ms) {
    figures.latencies_ms.push_back(static_cast<std::int32_t>(*attempt.total_ms));
    if (attempt.usage) figures.answered_output_tokens += attempt.usage->output_tokens;
  }
}

void count_job(Figures& figures, const JobRow& job) {
  ++figures.jobs;
  if (job.state == "done") ++figures.done;
  if (job.state == "failed") ++figures.failed;
  if (!job.model.empty()) ++figures.sent_jobs;
  if (job.fell_back) ++figures.fallen_back_jobs;
}

bool is_in(const ReportRange& range, std::int64_t at_ms) {
  return at_ms >= range.since_ms.value_or(at_ms) && (!range.until_ms || at_ms < *range.until_ms);
}

class Making {
 public:
  Making(const std::vector<GroupBy>& groups, const ReportRange& range)
      : groups_(groups), range_(range) {
    for (const GroupBy group : groups_) {
      if (group == GroupBy::job) {
        add_columns({"batch", "id", "source", "state", "model"});
      } else if (group == GroupBy::attempt) {
        add_columns({"batch", "id", "attempt", "opened_at", "provider", "model", "model_returned",
                     "outcome", "http_status", "provider_request_id", "ceiling_usd", "cost_basis"});
      } else {
        for (const GroupName& named : kGroupNames) {
          if (named.group == group) add_columns({named.name});
        }
      }
    }
  }

  void add(StoreReader& reader, const Batch& batch) {
    report_.batches.push_back(batch.name);
    // Documents first, so that --by job lists them in order of submission.
    reader.each_job(batch.id, [&](const JobRow& job) {
      if (!is_in(range_, job.at_ms)) return;
      count_job(report_.totals, job);
      if (!has(GroupBy::attempt)) count_job(row_for(job).figures, job);
    });
    reader.each_attempt(batch.id, [&](const AttemptRow& attempt) {
      if (!is_in(range_, attempt.opened_at_ms)) return;
      count_attempt(report_.totals, attempt);
      if (ReportRow* row = row_for(attempt)) count_attempt(row->figures, attempt);
    });
  }

  CostReport take() { return std::move(report_); }

 private:
  void add_columns(std::vector<std::string> names) {
    for (std::string& name : names) report_.key_columns.push_back(std::move(name));
  }
  bool has(GroupBy wanted) const {
    for (const GroupBy group : groups_) {
      if (group == wanted) return true;
    }
    return false;
  }

  ReportRow& row_at(const std::string& index, std::vector<std::string> keys) {
    const auto [it, is_new] = index_.try_emplace(index, report_.rows.size());
    if (is_new) report_.rows.push_back({std::move(keys), {}});
    return report_.rows[it->second];
  }

  ReportRow& row_for(const JobRow& job) {
    const Subject subject{job.batch, job.task,  job.tenant, job.provider,
                          job.model, job.route, job.at_ms};
    std::vector<std::string> keys;
    for (const GroupBy group : groups_) {
      if (group == GroupBy::job) {
        keys.insert(keys.end(), {job.batch, job.item_key, job.source, job.state,
                                 job.model.empty() ? "none" : job.model});
      } else {
        keys.push_back(key_of(group, subject));
      }
    }
    const std::string index = has(GroupBy::job) ? std::to_string(job.id.value) : joined(keys);
    return row_at(index, std::move(keys));
  }

  ReportRow* row_for(const AttemptRow& a) {
    if (has(GroupBy::job)) {
      // A request of a superseded text belongs to no listed document; the totals have it.
      const auto it = index_.find(std::to_string(a.job.value));
      return it == index_.end() ? nullptr : &report_.rows[it->second];
    }
    const Subject subject{a.batch, a.task, a.tenant, a.provider, a.model, a.route, a.opened_at_ms};
    std::vector<std::string> keys;
    for (const GroupBy group : groups_) {
      if (group == GroupBy::attempt) {
        keys.insert(keys.end(),
                    {a.batch, a.item_key, std::to_string(a.number), iso_time(a.opened_at_ms),
                     a.provider, a.model, a.model_returned, a.is_open ? "open" : a.outcome,
                     a.http_status ? std::to_string(*a.http_status) : "", a.provider_request_id,
                     money_or_empty(a.ceiling_pusd), a.cost_basis});
      } else {
        keys.push_back(key_of(group, subject));
      }
    }
    const std::string index = has(GroupBy::attempt) ? std::to_string(a.id.value) : joined(keys);
    return &row_at(index, std::move(keys));
  }

  static std::string joined(const std::vector<std::string>& keys) {
    std::string text;
    for (const std::string& key : keys) text += key + '\0';
    return text;
  }

  const std::vector<GroupBy>& groups_;
  const ReportRange& range_;
  CostReport report_;
  std::map<std::string, std::size_t> index_;
};

}  // namespace

std::vector<GroupBy> parse_groups(const std::string& list) {
  std::vector<GroupBy> groups;
  std::size_t start = 0;
  while (start <= list.size()) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    const std::string name(trimmed(std::string_view(list).substr(start, comma - start)));
    start = comma + 1;
    bool is_known = false;
    for (const GroupName& named : kGroupNames) {
      if (name != named.name) continue;
      groups.push_back(named.group);
      is_known = true;
    }
    if (!is_known) {
      std::vector<std::string> names;
      for (const GroupName& named : kGroupNames) names.emplace_back(named.name);
      const auto near = nearest(name, names);
      throw UsageError(fmt::format(
          "--by: unknown group \"{}\"; {}", name,
          near ? fmt::format("did you mean \"{}\"?", *near)
               : "batch, model, provider, route, task, tenant, day, week, month, job or attempt"));
    }
  }
  return groups;
}

CostReport make_report(StoreReader& reader, const std::vector<Batch>& batches,
                       const std::vector<GroupBy>& groups, const ReportRange& range) {
  Making making(groups, range);
  for (const Batch& batch : batches) making.add(reader, batch);
  return making.take();
}

}  // namespace docmill
