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
  declare_result_flags(*command, flags);
  command->add_option("--id", flags.id, "this document alone");
  command->add_flag("--failed", flags.only_failed, "what failed or is held, with the reasons");
  command->add_flag("--watch", is_watching, "as documents end, until the batch has ended");
  return [&global] {
    check_result_flags(flags);
    if (is_watching && (flags.file || flags.folder || !flags.id.empty())) {
      throw UsageError("--watch writes every result to stdout; without it for -o, --out and --id");
    }
    const auto opened = open_reader(global);
    const Batch found = batch_named(opened->reader, batch);
    if (is_watching) return watch_results(global, *opened, found, flags);
    const std::int64_t unfinished = put_results(global, *opened, found, flags);
    if (unfinished == 0) return kExitDone;
    say(global, fmt::format("{} of {} not ended yet", counted(unfinished, "document"), found.name));
    return kExitSomeFailed;
  };
}

}  // namespace docmill
