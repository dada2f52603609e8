#pragma once

// Looking at batches from outside the worker until they have ended.

#include <string>
#include <vector>

#include "cli/open.h"
#include "report/status.h"

namespace docmill {

// A batch that does not go on by itself.
bool is_at_rest(const BatchStatus& status);

// Returns when every batch has ended or waits for a person, or after `timeout_ms` (0: never).
// The exit code: `run`'s.
int follow(const Global& global, const std::filesystem::path& store,
           const std::vector<std::string>& batches, std::int64_t timeout_ms);

// Waits until another process has committed something, or for `ms`. What was looked at took
// `cost_ms`: of a busy store no more than a tenth of the time is spent on looking.
void wait_for_change(Database& db, std::int64_t ms, std::int64_t cost_ms = 0);

}  // namespace docmill
