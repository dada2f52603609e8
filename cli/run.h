#pragma once

// docmill run, and a rehearsal of it.

#include "cli/result_output.h"
#include "cli/submission.h"

namespace docmill {

// Works until the batch has ended, or follows the worker that does, for at most `timeout_ms` (0: as
// long as it takes; config.worker.longest_life_ms bounds the work). The exit code.
int work_off(const Global& global, const Config& config, const std::filesystem::path& store,
             const std::string& batch, std::int64_t timeout_ms = 0);

// Submits, works until the batch has ended or follows the worker that does, and hands out the
// results. The exit code.
int run_batch(const Global& global, const Config& config, const std::filesystem::path& store,
              const SubmitFlags& submit_flags, const ResultFlags& results);

// The same against a provider of its own on loopback and with a store of its own, which end with
// it: no key is read, nothing leaves the machine, and no file of the user is written. Prints what
// came of it.
int rehearse(const Global& global, const SubmitFlags& submit_flags, const ResultFlags& results);

}  // namespace docmill
