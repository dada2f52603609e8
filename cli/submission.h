#pragma once

// What submit and run share: the flags, and documents on their way into a batch.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/counting.h"
#include "cli/open.h"
#include "documents/document.h"
#include "tasks/batch_spec.h"
#include "tasks/estimate.h"

namespace CLI {
class App;
}

namespace docmill {

struct SubmitFlags {
  std::string task;
  std::vector<std::string> inputs;
  std::string batch;
  std::string models;
  std::string route;
  std::string instructions;
  std::string to;
  std::string from;
  std::string schema;
  std::string fields;
  std::string glossary;
  std::string max_cost;
  std::string tenant;  // empty: not given
  std::string input_format;
  std::vector<std::string> excludes;
  std::string encoding;
  std::string text_column;
  std::string id_column;
  std::string brake;
  std::string regions;
  std::int64_t priority = 0;
  std::int64_t limit = 0;
  std::string from_trial;
  const std::vector<Document>* documents = nullptr;  // in place of the inputs
  bool dry_run = false;
  bool rehearse = false;
  bool yes = false;
  bool fresh = false;
  bool allow_blank_pages = false;
};

void declare_submit_flags(CLI::App& command, SubmitFlags& flags);

// The spec of the batch that the flags ask for. Throws UsageError.
BatchSpec spec_of(const SubmitFlags& flags, const Config& config);

// The documents of the inputs, as far as --limit lets them.
void read_inputs(const SubmitFlags& flags, TaskKind kind,
                 const std::function<void(Document)>& take);

// --batch, or TASK-INPUTNAME.
std::string default_batch_name(const SubmitFlags& flags, const BatchSpec& spec);

// The batch of a trial in which one of its models, or its judge, works.
std::string trial_batch(const std::string& trial, const std::string& what);

// How many, what they will cost and where they go, for people.
std::vector<std::string> submission_lines(const Submission& sum, const BatchSpec& spec,
                                          const Config& config,
                                          const std::optional<std::int64_t>& cap_pusd);

// Reads the inputs and queues them; on disk when it returns. Says on stderr what it estimates and
// where documents go. With --dry-run nothing is queued, and that is said on stdout.
Submission submit(const Global& global, const Config& config, const std::filesystem::path& store,
                  const SubmitFlags& flags);

// "a worker is running (pid 4121)", or how to start one.
std::string worker_line(const std::filesystem::path& store);

}  // namespace docmill
