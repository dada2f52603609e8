// docmill results BATCH: what came back.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "cli/result_output.h"

namespace docmill {

Action add_results(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("results", "what came back");
  static std::string batch;
  static ResultFlags flags;
  static bool is_watching = false;
  command->add_option("BATCH", batch)->required();
  command->add_option("--format", flags.format, "jsonl, csv, or openai-batch (of requests)");
  command->add_option("-o", flags.file, "into this file instead of stdout");
  command->add_option("--out", flags.folder, "a file for each document, below this folder");
  command->add_option("--id", flags.id, "this document alone");
  command->add_flag("--failed", flags.only_failed, "what failed or is held, with the reasons");
  command->add_flag("--force", flags.force, "replace files that docmill did not write");
  command->add_flag("--watch", is_watching, "as documents end, until the batch has ended");
  return [&global] {
    if (flags.format != "jsonl" && flags.format != "csv" && flags.format != "openai-batch") {
      throw UsageError("--format: jsonl, csv or openai-batch; and files with --out DIR");
    }
    if (flags.format != "jsonl" && flags.folder) {
      throw UsageError("--out writes a file for each document; --format is for stdout or -o");
    }
    if (flags.file && flags.folder) throw UsageError("-o and --out are two places; give one");
    if (is_watching && (flags.file || flags.folder || !flags.id.empty())) {
      throw UsageError("--watch writes every result to stdout; without it for -o, --out and --id");
    }
    const auto opened = open_reader(global);
    const Batch found = batch_named(opened->reader, batch);
    if (is_watching) return watch_results(global, *opened, found, flags);
    const std::int64_t unfinished = put_results(global, *opened, found, flags);
    if (unfinished == 0) return kExitDone;
    say(global, fmt::format("{} documents of {} have not ended yet", unfinished, found.name));
    return kExitSomeFailed;
  };
}

}  // namespace docmill
