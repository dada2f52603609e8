// docmill report [BATCH...]: where the money went.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/open.h"
#include "cli/output.h"
#include "config/price_file.h"
#include "report/html_report.h"
#include "report/pricing.h"
#include "report/reconcile.h"
#include "report/report_formats.h"
#include "worker/caps.h"

namespace docmill {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

struct ReportFlags {
  std::vector<std::string> batches;
  std::string by = "batch";
  std::string format = "table";
  std::string since;
  std::string until;
  std::string last;
  std::vector<std::string> if_models;
  std::int64_t documents_per_month = 0;
  std::string reprice;
  std::string usage;
  std::string reconcile;
  std::optional<std::string> file;
};

std::optional<std::int64_t> parse_time(const std::string& flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto at_ms = parse_iso_time(text);
  if (at_ms) return at_ms;
  throw UsageError(fmt::format("{}: a time is like 2026-11-24 or 2026-11-24T09:00:00Z", flag));
}

// --last: the day, week or month before the one that runs now, as --since and --until.
ReportFlags with_last_period(ReportFlags flags, std::int64_t now_ms) {
  if (flags.last.empty()) return flags;
  if (!flags.since.empty() || !flags.until.empty()) {
    throw UsageError("--last says the time already; without --since and --until");
  }
  const std::int64_t today_ms = day_of(now_ms);
  std::int64_t since_ms = 0, until_ms = today_ms;
  if (flags.last == "day") {
    since_ms = today_ms - kDayMs;
  } else if (flags.last == "week") {  // 1970 began with a Thursday, weeks begin with Monday
    until_ms = today_ms - (today_ms / kDayMs + 3) % 7 * kDayMs;
    since_ms = until_ms - 7 * kDayMs;
  } else if (flags.last == "month") {
    until_ms = month_of(now_ms);
    since_ms = month_of(until_ms - 1);
  } else {
    throw UsageError("--last: day, week or month");
  }
  flags.since = iso_day(since_ms);
  flags.until = iso_day(until_ms);
  return flags;
}

// The store, and what reports read of it.
struct OpenedReport {
  std::unique_ptr<OpenedReader> opened;
  PriceList prices;
  std::vector<Batch> batches;
  std::vector<std::string> names;

  OpenedReport(const Global& global, const ReportFlags& flags)
      : opened(open_reader(global)), prices(opened->db) {
    fill_prices(prices, opened->config.providers, opened->config.models, opened->clock.now_ms());
    for (const std::string& name : flags.batches) {
      batches.push_back(batch_named(opened->reader, name));
    }
    if (batches.empty()) batches = opened->reader.batches();
    for (const Batch& batch : batches) names.push_back(batch.name);
  }
};

void write_report(CostReport& report, const ReportShow& show, const ReportFlags& flags) {
  FileOutput output(flags.file);
  const Put put = [&](std::string_view text) { output.put(text); };
  if (flags.format == "table") {
    write_table(report, show, put);
  } else if (flags.format == "csv") {
    write_csv(report, put);
  } else {
    write_json(report, show, put);
  }
  output.close();
}

ReportWish wish_of(const ReportFlags& flags, const Config& config, PriceList* prices,
                   std::int64_t now_ms) {
  ReportWish wish;
  wish.groups = parse_groups(flags.by);
  wish.range = {parse_time("--since", flags.since), parse_time("--until", flags.until)};
  for (const std::string& model : flags.if_models) {
    wish.what_ifs.push_back(what_if_on(model, config, prices, now_ms));
  }
  if (!flags.reprice.empty()) {
    wish.reprice = reprice_by(read_price_file(flags.reprice, 0), config);
  }
  return wish;
}

ReportShow show_of(const ReportFlags& flags, const Config& config) {
  ReportShow show;
  show.currency = config.currency;
  if (flags.documents_per_month > 0) show.documents_per_month = flags.documents_per_month;
  return show;
}

// A provider's export instead of the ledger; the store is needed for prices only, if it is there.
int report_usage(const Global& global, const ReportFlags& flags) {
  if (!flags.batches.empty() || !flags.reconcile.empty() || !flags.reprice.empty()) {
    throw UsageError("--usage FILE is read instead of the ledger; no BATCH goes with it");
  }
  Config config = open_config(global);
  const std::filesystem::path store = find_store(global, config);
  price_by_store(store, config);
  const UsageFile file = read_usage_file(flags.usage);
  const std::int64_t now_ms = SystemClock().now_ms();
  std::unique_ptr<OpenedReader> opened;
  std::unique_ptr<PriceList> prices;
  if (store_exists(store)) {
    opened = std::make_unique<OpenedReader>(store, config);
    prices = std::make_unique<PriceList>(opened->db);
  }
  UsageSource source(file, price_of_records(file, config, prices.get(), now_ms));
  CostReport report(source, wish_of(flags, config, prices.get(), now_ms));
  ReportShow show = show_of(flags, config);
  show.batches = {file.name};
  write_report(report, show, flags);
  return kExitDone;
}

int report_gap(const Global& global, const ReportFlags& flags) {
  OpenedReport all(global, flags);
  const Config& config = all.opened->config;
  const UsageFile file = read_usage_file(flags.reconcile);
  LedgerSource ledger(all.opened->db, all.batches);
  const Reconciliation made = reconcile(
      ledger, file, price_of_records(file, config, &all.prices, all.opened->clock.now_ms()),
      [&](const AttemptRow& attempt) {
        if (!attempt.model_returned.empty()) return attempt.model_returned;
        const auto model = config.models.find(attempt.model);
        return model == config.models.end() ? attempt.model : model->second.name;
      });
  if (flags.format == "csv") {
    put(flags.file, reconciliation_csv(made));
  } else if (flags.format == "json") {
    put(flags.file, reconciliation_json(made));
  } else {
    put(flags.file, reconciliation_text(made, config.currency));
  }
  return kExitDone;
}

// What the page compares with when nobody said: the config's own models.
constexpr std::size_t kMostWhatIfs = 8;

int report_html(const ReportFlags& flags, OpenedReport& all) {
  if (!flags.reprice.empty()) throw UsageError("--reprice is for table, csv and json");
  const Config& config = all.opened->config;
  PageWish wish;
  wish.batches = all.names;
  wish.now_ms = all.opened->clock.now_ms();
  ReportWish shared = wish_of(flags, config, &all.prices, wish.now_ms);
  wish.range = shared.range;
  wish.what_ifs = std::move(shared.what_ifs);
  if (flags.if_models.empty()) {
    for (const auto& [key, model] : config.models) {
      if (model.price && wish.what_ifs.size() < kMostWhatIfs) {
        wish.what_ifs.push_back({key, *model.price});
      }
    }
  }
  const ReportShow show = show_of(flags, config);
  wish.documents_per_month = show.documents_per_month;
  wish.currency = show.currency;
  if (all.batches.size() == 1) wish.cap_pusd = all.batches.front().cap_pusd;
  wish.command = "docmill report";
  for (const std::string& name : flags.batches) wish.command += " " + name;
  for (const std::string& model : flags.if_models) wish.command += " --if-model " + model;
  if (!flags.since.empty()) wish.command += " --since " + flags.since;
  if (!flags.until.empty()) wish.command += " --until " + flags.until;
  wish.command += " --format html -o " + flags.file.value_or("report.html");
  LedgerSource ledger(all.opened->db, all.batches);
  put(flags.file, report_page(make_page(ledger, all.prices, wish)));
  return kExitDone;
}

int report(const Global& global, const ReportFlags& flags) {
  const std::vector<std::string> formats = {"table", "csv", "json", "html"};
  if (std::find(formats.begin(), formats.end(), flags.format) == formats.end()) {
    throw UsageError("--format: table, csv, json or html");
  }
  const bool is_of_file = !flags.usage.empty() || !flags.reconcile.empty();
  if (is_of_file && flags.format == "html") {
    throw UsageError(
        "--format html is of the ledger; --usage and --reconcile give table, csv, json");
  }
  if (!flags.usage.empty()) return report_usage(global, flags);
  if (!flags.reconcile.empty()) return report_gap(global, flags);
  OpenedReport all(global, flags);
  if (flags.format == "html") return report_html(flags, all);
  LedgerSource ledger(all.opened->db, all.batches);
  CostReport made(ledger,
                  wish_of(flags, all.opened->config, &all.prices, all.opened->clock.now_ms()));
  ReportShow show = show_of(flags, all.opened->config);
  show.batches = all.names;
  write_report(made, show, flags);
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
  command->add_option("--format", flags.format, "table, csv, json or html");
  command->add_option("--since", flags.since, "UTC, by when requests were opened");
  command->add_option("--until", flags.until, "UTC, exclusive");
  command->add_option("--last", flags.last, "day, week or month: the last whole one, UTC");
  command->add_option("--if-model", flags.if_models,
                      "what the same tokens would have cost there; may be repeated");
  command
      ->add_option("--documents-per-month", flags.documents_per_month,
                   "for the what-if's month and year (default: the pace of the time covered)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000'000}));
  command->add_option("--reprice", flags.reprice, "price the past by this file of prices");
  command->add_option("--usage", flags.usage,
                      "a provider's usage export (OpenAI's JSON or CSV, or any CSV with model, "
                      "input_tokens, output_tokens) instead of the ledger");
  command->add_option("--reconcile", flags.reconcile, "hold the ledger against such an export");
  command->add_option("-o", flags.file, "into this file instead of stdout");
  return [&global] { return report(global, with_last_period(flags, SystemClock().now_ms())); };
}

}  // namespace docmill
