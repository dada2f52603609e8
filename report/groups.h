#pragma once

// What a report's rows are of: `--by model,day`.

#include <cstdint>
#include <string>
#include <vector>

#include "store/report_rows.h"

namespace docmill {

enum class GroupBy { batch, model, provider, route, task, tenant, day, week, month, job, attempt };

// Throws UsageError that names the known ones.
std::vector<GroupBy> parse_groups(const std::string& list);

std::vector<std::string> key_columns(const std::vector<GroupBy>& groups);
std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const JobRow& job);
std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const AttemptRow& attempt);
// The same where no group is `job` or `attempt`.
std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const CountedJob& job);
std::vector<std::string> keys_of(const std::vector<GroupBy>& groups, const CountedAttempt& attempt);

bool has_group(const std::vector<GroupBy>& groups, GroupBy wanted);

}  // namespace docmill
