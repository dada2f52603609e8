#pragma once

// What submit and run share: the flags, and documents on their way into a batch.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/open.h"
#include "tasks/batch_spec.h"

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
  std::string max_cost;
  std::string tenant = "default";
  std::string input_format;
  std::string brake;
  std::string regions;
  std::int64_t priority = 0;
  std::int64_t limit = 0;
  bool dry_run = false;
  bool yes = false;
};

void declare_submit_flags(CLI::App& command, SubmitFlags& flags);

struct Submission {
  std::string batch;
  std::int64_t documents = 0;
  std::int64_t fresh = 0;
  std::int64_t changed = 0;
  std::int64_t unchanged = 0;
  std::int64_t unreadable = 0;
  std::int64_t text_bytes = 0;
  std::map<int, std::int64_t> routes;  // documents by the route that they take
  // By estimate, on the first model of each document's chain.
  std::int64_t input_tokens = 0;
  std::int64_t most_output_tokens = 0;
  std::int64_t most_cost_pusd = 0;
  bool is_unpriced = false;
  std::vector<std::string> unreadable_names;  // the first few
};

// Reads the inputs and queues them; on disk when it returns. Prints the estimate, where documents
// go, and whether a worker is running. With --dry-run nothing is queued.
Submission submit(const Global& global, const SubmitFlags& flags);

}  // namespace docmill
