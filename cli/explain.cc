// docmill explain BATCH ID: one document's life in plain words.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/open.h"
#include "report/explain.h"
#include "report/status.h"

namespace docmill {
namespace {

struct ExplainFlags {
  std::string batch;
  std::string id;
  bool json = false;
};

int explain(const Global& global, const ExplainFlags& flags) {
  const auto opened = open_reader(global);
  const Batch batch = batch_named(opened->reader, flags.batch);
  Explained explained;
  explained.batch = batch.name;
  explained.lives = read_lives(opened->db, batch.id, flags.id);
  if (explained.lives.empty()) {
    throw UsageError(fmt::format("batch {} has no document \"{}\"; docmill results {} lists them",
                                 batch.name, printable_line(flags.id), batch.name));
  }
  const StoreStatus status =
      read_status(opened->reader, opened->store, batch.name, opened->clock.now_ms());
  explained.bound_by = status.batches.front().bound_by;
  for (const BatchWait& wait : status.batches.front().waits) {
    if (explained.next_step.empty()) explained.next_step = wait.next_step;
  }
  put(std::nullopt, flags.json ? explain_json(explained) : explain_text(explained, global.verbose));
  return kExitDone;
}

}  // namespace

Action add_explain(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("explain", "one document's life in plain words");
  static ExplainFlags flags;
  command->add_option("BATCH", flags.batch)->required();
  command->add_option("ID", flags.id, "the document's id, as results shows it")->required();
  command->add_flag("--json", flags.json, "for programs");
  return [&global] { return explain(global, flags); };
}

}  // namespace docmill
