// docmill report [BATCH...]: where the money went.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/errors.h"
#include "cli/open.h"
#include "report/cost_report.h"

namespace docmill {
namespace {

struct ReportFlags {
  std::vector<std::string> batches;
  std::string by = "batch";
  std::string format = "table";
  std::string since;
  std::string until;
  std::optional<std::string> file;
};

// "2026-11-24" or "2026-11-24T09:00:00Z", UTC.
std::optional<std::int64_t> parse_time(const std::string& flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto at_ms = parse_iso_time(text);
  if (at_ms) return at_ms;
  throw UsageError(fmt::format("{}: a time is like 2026-11-24 or 2026-11-24T09:00:00Z", flag));
}

int report(const Global& global, const ReportFlags& flags) {
  const std::vector<GroupBy> groups = parse_groups(flags.by);
  const ReportRange range{parse_time("--since", flags.since), parse_time("--until", flags.until)};
  const auto opened = open_reader(global);
  std::vector<Batch> batches;
  for (const std::string& name : flags.batches) {
    batches.push_back(batch_named(opened->reader, name));
  }
  if (batches.empty()) batches = opened->reader.batches();
  const CostReport made = make_report(opened->reader, batches, groups, range);
  if (flags.format == "table") {
    put(flags.file, report_table(made));
  } else if (flags.format == "csv") {
    put(flags.file, report_csv(made));
  } else if (flags.format == "json") {
    put(flags.file, report_json(made));
  } else {
    throw UsageError("--format: this version writes table, csv and json");
  }
  return kExitDone;
}

}  // namespace

Action add_report(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("report", "the cost report");
  static ReportFlags flags;
  command->add_option("BATCH", flags.batches, "default: all");
  command->add_option("--by", flags.by,
                      "a list of batch, model, provider, route, task, tenant, day, week, month, "
                      "job, attempt");
  command->add_option("--format", flags.format, "table, csv or json");
  command->add_option("--since", flags.since, "UTC, by when requests were opened");
  command->add_option("--until", flags.until, "UTC, exclusive");
  command->add_option("-o", flags.file, "into this file instead of stdout");
  return [&global] { return report(global, flags); };
}

}  // namespace docmill
