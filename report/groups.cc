#include "report/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

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

std::string or_none(const std::string& text) {
  return text.empty() ? "none" : text;
}

std::string money_or_empty(const std::optional<std::int64_t>& amount_pusd) {
  return amount_pusd ? exact_usd(*amount_pusd) : "";
}

template <class Row>
std::string key_of(GroupBy group, const Row& row, std::int64_t at_ms) {
  switch (group) {
    case GroupBy::batch:
      return row.batch;
    case GroupBy::task:
      return row.task;
    case GroupBy::tenant:
      return row.tenant;
    case GroupBy::provider:
      return or_none(row.provider);
    case GroupBy::model:
      return or_none(row.model);
    case GroupBy::route:
      return or_none(row.route);
    case GroupBy::day:
      return iso_day(at_ms);
    case GroupBy::week:
      return iso_week(at_ms);
    case GroupBy::month:
      return iso_day(at_ms).substr(0, 7);
    case GroupBy::job:
    case GroupBy::attempt:
      break;
  }
  return {};
}

}  // namespace

std::vector<GroupBy> parse_groups(const std::string& list) {
  std::vector<GroupBy> groups;
  std::vector<std::string> names;
  for (const GroupName& named : kGroupNames) names.emplace_back(named.name);
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    const std::string name(trimmed(std::string_view(list).substr(start, comma - start)));
    start = comma + 1;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const auto near = nearest(name, names);
      throw UsageError(fmt::format(
          "--by: unknown group \"{}\"; {}", printable_line(name),
          near ? fmt::format("did you mean \"{}\"?", *near)
               : "batch, model, provider, route, task, tenant, day, week, month, job or attempt"));
    }
    const GroupBy group = kGroupNames[found - names.begin()].group;
    if (has_group(groups, group))
      throw UsageError(fmt::format("--by: {} stands there twice", name));
    groups.push_back(group);
  }
  if (has_group(groups, GroupBy::job) && has_group(groups, GroupBy::attempt)) {
    throw UsageError("--by: job and attempt do not go together; a request is one of a document");
  }
  return groups;
}

std::vector<std::string> key_columns(const std::vector<GroupBy>& groups) {
  std::vector<std::string> columns;
  for (const GroupBy group : groups) {
    if (group == GroupBy::job) {
      columns.insert(columns.end(), {"batch", "id", "source", "state", "model"});
    } else if (group == GroupBy::attempt) {
      columns.insert(columns.end(), {"batch", "id", "attempt", "opened_at", "provider", "model",
                                     "model_returned", "outcome", "http_status",
                                     "provider_request_id", "ceiling_usd", "cost_basis"});
    } else {
      for (const GroupName& named : kGroupNames) {
        if (named.group == group) columns.emplace_back(named.name);
      }
    }
  }
  return columns;
}

std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const JobRow& job) {
  std::vector<std::string> keys;
  for (const GroupBy group : groups) {
    if (group == GroupBy::job) {
      keys.insert(keys.end(), {job.batch, job.item_key, job.source,
                               job.is_superseded ? "superseded" : job.state, or_none(job.model)});
    } else {
      keys.push_back(key_of(group, job, job.at_ms));
    }
  }
  return keys;
}

std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const AttemptRow& a) {
  std::vector<std::string> keys;
  for (const GroupBy group : groups) {
    if (group == GroupBy::attempt) {
      keys.insert(keys.end(),
                  {a.batch, a.item_key, std::to_string(a.number), iso_time(a.opened_at_ms),
                   a.provider, a.model, a.model_returned, a.is_open ? "open" : a.outcome,
                   a.http_status ? std::to_string(*a.http_status) : "", a.provider_request_id,
                   money_or_empty(a.ceiling_pusd), a.cost_basis});
    } else {
      keys.push_back(key_of(group, a, a.opened_at_ms));
    }
  }
  return keys;
}

std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const CountedJob& job) {
  std::vector<std::string> keys;
  for (const GroupBy group : groups) keys.push_back(key_of(group, job, job.at_ms));
  return keys;
}

std::vector<std::string> keys_of(const std::vector<GroupBy>& groups,
                                 const CountedAttempt& attempt) {
  std::vector<std::string> keys;
  for (const GroupBy group : groups) keys.push_back(key_of(group, attempt, attempt.opened_at_ms));
  return keys;
}

bool has_group(const std::vector<GroupBy>& groups, GroupBy wanted) {
  return std::find(groups.begin(), groups.end(), wanted) != groups.end();
}

}  // namespace docmill
