#include "cli/result_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "report/results.h"
#include "report/results_csv.h"
#include "store/report_reader.h"
#include "tasks/batch_spec.h"

namespace docmill {
namespace {

bool has_json_output(const BatchSpec& spec) {
  return spec.kind == TaskKind::extract || spec.kind == TaskKind::requests;
}

bool has_ended(const ResultRow& row) {
  return row.state == "done" || row.state == "failed" || row.state == "cancelled" ||
         row.state == "held";
}

// A batch's results, a line each, in one of the formats.
class ResultLines {
 public:
  ResultLines(StoreReader& reader, const Batch& batch, const BatchSpec& spec,
              const std::string& format)
      : reader_(reader),
        csv_(spec.json_schema),
        format_(format),
        is_json_(has_json_output(spec)),
        tells_pieces_(spec.kind == TaskKind::extract) {
    if (format == "openai-batch" && spec.kind != TaskKind::requests) {
      throw UsageError(fmt::format("--format openai-batch is for requests; {} is a batch of {}",
                                   batch.name, spec.task));
    }
  }

  std::string header() const { return format_ == "csv" ? csv_.header() : std::string(); }
  std::string line(const ResultRow& row) const {
    if (format_ == "csv") return csv_.row(row);
    if (format_ == "openai-batch") return openai_batch_line(row);
    const bool is_whole = tells_pieces_ && row.is_cut && row.output;
    return result_line(row, is_json_,
                       is_whole ? reader_.result_pieces(row.id) : std::vector<ResultPiece>());
  }

 private:
  StoreReader& reader_;
  const ResultsCsv csv_;
  const std::string format_;
  const bool is_json_;
  const bool tells_pieces_;  // where in the document each was found
};

bool is_wanted(const ResultRow& row, const ResultFlags& flags) {
  return !flags.only_failed || row.state == "failed" || row.state == "held";
}

std::int64_t put_lines(StoreReader& reader, const Batch& batch, const ResultFlags& flags,
                       const BatchSpec& spec) {
  FileOutput out(flags.file);
  const ResultLines lines(reader, batch, spec, flags.format);
  out.put(lines.header());
  std::int64_t unfinished = 0;
  bool is_found = false;
  reader.each_result(batch.id, flags.id, [&](const ResultRow& row) {
    is_found = true;
    if (!has_ended(row)) {
      ++unfinished;
      if (flags.id.empty()) return;
    }
    if (is_wanted(row, flags)) out.put(lines.line(row));
  });
  if (!flags.id.empty() && !is_found) {
    throw UsageError(
        fmt::format("batch {} has no document \"{}\"", batch.name, printable_line(flags.id)));
  }
  out.close();
  return unfinished;
}

std::int64_t put_files(const Global& global, OpenedReader& opened, const Batch& batch,
                       const ResultFlags& flags, bool is_json) {
  ResultFolder folder(*flags.folder, is_json, flags.force);
  std::int64_t unfinished = 0;
  ReportReader(opened.db).each_job(batch.id, [&](const JobRow& job) {
    if (!job.is_superseded) folder.see(job.item_key);
  });
  opened.reader.each_result(batch.id, flags.id, [&](const ResultRow& row) {
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

void declare_result_flags(CLI::App& command, ResultFlags& flags) {
  command.add_option("--format", flags.format, "jsonl, csv, or openai-batch (of requests)");
  command.add_option("-o", flags.file, "into this file instead of stdout");
  command.add_option("--out", flags.folder, "a file for each document, below this folder");
  command.add_flag("--force", flags.force, "replace files that docmill did not write");
}

void check_result_flags(const ResultFlags& flags) {
  if (flags.format != "jsonl" && flags.format != "csv" && flags.format != "openai-batch") {
    throw UsageError("--format: jsonl, csv or openai-batch; and files with --out DIR");
  }
  if (flags.format != "jsonl" && flags.folder) {
    throw UsageError("--out writes a file for each document; --format is for stdout or -o");
  }
  if (flags.file && flags.folder) throw UsageError("-o and --out are two places; give one");
}

std::int64_t put_results(const Global& global, OpenedReader& opened, const Batch& batch,
                         const ResultFlags& flags) {
  const BatchSpec spec = parse_batch_spec(batch.spec);
  const std::int64_t unfinished =
      flags.folder ? put_files(global, opened, batch, flags, has_json_output(spec))
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

int watch_results(const Global& global, OpenedReader& opened, const Batch& batch,
                  const ResultFlags& flags) {
  FileOutput out(std::nullopt);
  const ResultLines lines(opened.reader, batch, parse_batch_spec(batch.spec), flags.format);
  out.put(lines.header());
  std::set<std::int64_t> done, failed;  // handed out as such
  const auto put_new = [&](const std::string& state, std::set<std::int64_t>& handed_out) {
    for (const JobId job : opened.reader.in_state(batch.id, state)) {
      if (handed_out.contains(job.value)) continue;
      const ResultRow row = opened.reader.result(job);
      if (!has_ended(row)) continue;  // a `retry` came in between
      handed_out.insert(job.value);
      if (is_wanted(row, flags)) out.put(lines.line(row));
    }
    out.flush();
  };
  for (;;) {
    const std::int64_t now_ms = opened.clock.now_ms();
    // Looked at first: what ends after this is not missed.
    const BatchStatus status =
        read_status(opened.reader, opened.store, batch.name, now_ms).batches.front();
    put_new("done", done);
    put_new("failed", failed);
    put_new("cancelled", failed);
    if (is_at_rest(status)) {
      put_new("held", failed);
      const std::string state = status.held_reason.empty() ? "" : ": " + status.held_reason;
      say(global, fmt::format("batch {} is {}{}", batch.name, status.state, state));
      const bool is_taken = !is_terminal(STDOUT_FILENO) && !flags.only_failed;
      if (is_taken && status.state == "finished") note_export(global, opened, batch.id);
      return exit_code_of(status);
    }
    wait_for_change(opened.db, 1000, opened.clock.now_ms() - now_ms);
  }
}

}  // namespace docmill
