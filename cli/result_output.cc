#include "cli/result_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/output.h"
#include "report/results.h"
#include "report/results_csv.h"
#include "tasks/batch_spec.h"

namespace docmill {
namespace {

bool has_ended(const ResultRow& row) {
  return row.state == "done" || row.state == "failed" || row.state == "cancelled" ||
         row.state == "held";
}

std::int64_t put_lines(StoreReader& reader, const Batch& batch, const ResultFlags& flags,
                       const BatchSpec& spec) {
  FileOutput out(flags.file);
  const bool is_json = spec.kind == TaskKind::extract || spec.kind == TaskKind::requests;
  const ResultsCsv csv(spec.json_schema);
  const bool is_csv = flags.format == "csv";
  const bool is_batch = flags.format == "openai-batch";
  if (is_batch && spec.kind != TaskKind::requests) {
    throw UsageError(fmt::format("--format openai-batch is for requests; {} is a batch of {}",
                                 batch.name, spec.task));
  }
  if (is_csv) out.put(csv.header());
  std::int64_t unfinished = 0;
  bool is_found = false;
  reader.each_result(batch.id, flags.id, [&](const ResultRow& row) {
    is_found = true;
    if (!has_ended(row)) {
      ++unfinished;
      if (flags.id.empty()) return;
    }
    if (flags.only_failed && row.state != "failed" && row.state != "held") return;
    out.put(is_csv ? csv.row(row) : is_batch ? openai_batch_line(row) : result_line(row, is_json));
  });
  if (!flags.id.empty() && !is_found) {
    throw UsageError(
        fmt::format("batch {} has no document \"{}\"", batch.name, printable_line(flags.id)));
  }
  out.close();
  return unfinished;
}

std::int64_t put_files(const Global& global, StoreReader& reader, const Batch& batch,
                       const ResultFlags& flags, bool is_json) {
  ResultFolder folder(*flags.folder, is_json, flags.force);
  std::int64_t unfinished = 0;
  reader.each_job(batch.id, [&](const JobRow& job) {
    if (!job.is_superseded) folder.see(job.item_key);
  });
  reader.each_result(batch.id, flags.id, [&](const ResultRow& row) {
    if (!has_ended(row)) ++unfinished;
    if (row.output) folder.write(row);
  });
  say(global,
      fmt::format("{}: {} files written, {} were there unchanged", *flags.folder,
                  with_commas(folder.written().written), with_commas(folder.written().unchanged)));
  return unfinished;
}

// Who may only read the store still gets the results.
void note_export(const Global& global, const OpenedReader& opened, BatchId batch) {
  try {
    SqliteCommit commit;
    Database db(opened.store, Access::read_write, commit);
    JobQueue(db, opened.clock, opened.config.worker.policy).note_export_in_transaction(batch);
  } catch (const std::runtime_error& error) {  // SQLite's own, too
    say(global, fmt::format("the export was not noted: {}", error.what()));
  }
}

}  // namespace

std::int64_t put_results(const Global& global, OpenedReader& opened, const Batch& batch,
                         const ResultFlags& flags) {
  const BatchSpec spec = parse_batch_spec(batch.spec);
  const bool is_json = spec.kind == TaskKind::extract || spec.kind == TaskKind::requests;
  const std::int64_t unfinished = flags.folder
                                      ? put_files(global, opened.reader, batch, flags, is_json)
                                      : put_lines(opened.reader, batch, flags, spec);
  if (batch.pruned_at_ms) {
    say(global, fmt::format("the results of {} were pruned on {}", batch.name,
                            iso_day(*batch.pruned_at_ms)));
  }
  const bool is_taken = flags.folder || flags.file || !is_terminal(STDOUT_FILENO);
  const bool is_all = flags.id.empty() && !flags.only_failed && unfinished == 0;
  if (is_taken && is_all && batch.finished_at_ms && !batch.exported_at_ms) {
    note_export(global, opened, batch.id);
  }
  return unfinished;
}

}  // namespace docmill
