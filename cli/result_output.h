#pragma once

// Results out of the store, onto stdout or into files: what `results` and `run` share.

#include <optional>
#include <string>

#include "cli/open.h"

namespace docmill {

struct ResultFlags {
  std::optional<std::string> file;    // -o
  std::optional<std::string> folder;  // --out
  std::string format = "jsonl";       // or csv, openai-batch
  std::string id;
  bool only_failed = false;
  bool force = false;
};

// --format, -o, --out and --force.
void declare_result_flags(CLI::App& command, ResultFlags& flags);
// Throws UsageError where they contradict each other.
void check_result_flags(const ResultFlags& flags);

// How many documents of the batch have not ended. When all have, and all were handed out into a
// file, a folder or a pipe, the store notes that; `prune` asks for it.
std::int64_t put_results(const Global& global, OpenedReader& opened, const Batch& batch,
                         const ResultFlags& flags);

// Results onto stdout as documents end, each once, until the batch rests. The exit code: `run`'s.
// A document that failed and then, after a retry, was done is handed out as both.
int watch_results(const Global& global, OpenedReader& opened, const Batch& batch,
                  const ResultFlags& flags);

}  // namespace docmill
