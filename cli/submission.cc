#include "cli/submission.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "base/text.h"
#include "cli/queueing.h"
#include "config/known.h"
#include "documents/read.h"
#include "store/write_lock.h"
#include "tasks/new_job.h"
#include "tasks/routing.h"
#include "tasks/task.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

void check_batch_name(const std::string& name) {
  const bool clean = !name.empty() && name.size() <= 200 && name.front() != '-' &&
                     is_valid_utf8(name) && printable_line(name) == name;
  if (!clean) {
    throw UsageError("--batch: a name has 1 to 200 printable bytes and does not begin with -");
  }
}

ReadOptions read_options(const SubmitFlags& flags, TaskKind kind) {
  ReadOptions options;
  if (kind == TaskKind::requests) options.format = Format::openai_batch;
  if (!flags.input_format.empty()) {
    options.format = format_named(flags.input_format);
    if (!options.format) {
      throw UsageError(fmt::format("--input-format: \"{}\" is none; there is {}",
                                   printable_line(flags.input_format), format_names()));
    }
  }
  options.excludes = flags.excludes;
  options.encoding = flags.encoding;
  options.records = {flags.text_column, flags.id_column};
  options.allow_blank_pages = flags.allow_blank_pages;
  return options;
}

std::string tenant_of(const SubmitFlags& flags) {
  return flags.tenant.empty() ? "default" : flags.tenant;
}

// The route that a document takes: its own word, or --route, or the model that a whole request
// names, or the task's rules. -1: it has none, and its error says why.
int route_for(Document& document, const SubmitFlags& flags, const Config& config, BatchSpec& spec) {
  const int route = document.route.empty() ? 0 : route_index(spec, document.route);
  const auto task = config.tasks.find(spec.task);
  if (!document.error.empty()) return route;
  if (route < 0) {
    document.error = fmt::format("its route \"{}\" is not one of the batch's", document.route);
    return route;
  }
  const bool rules_apply = document.route.empty() && flags.route.empty() && flags.models.empty();
  if (spec.kind == TaskKind::requests && rules_apply) {
    const int own = own_route(spec, config.providers, config.models, document.text, document.error);
    if (own != 0) return own;
  }
  if (task == config.tasks.end()) return route;
  return choose_route(spec, route, rules_apply, task->second.routing, config.models, document.text);
}

// What the store knows of documents and of past requests. Nothing when it is not there yet.
class KnownStore {
 public:
  explicit KnownStore(const fs::path& store) {
    if (store_exists(store)) opened_ = std::make_unique<OpenedReader>(store);
  }
  std::vector<EstimateRecord> past() {
    return opened_ ? opened_->reader.estimates() : std::vector<EstimateRecord>();
  }
  void look_for(const std::string& batch) {
    if (opened_) batch_ = opened_->reader.batch(batch);
  }
  const std::optional<Batch>& batch() const { return batch_; }
  Added would_add(const Document& document) {
    if (!batch_) return Added::fresh;
    return opened_->reader.would_add(batch_->id, document.id, content_hash(document));
  }
  std::vector<Reusable> reusable(const BatchSpec& spec, const Document& document,
                                 const std::string& tenant) {
    if (!opened_ || !document.error.empty()) return {};
    return opened_->reader.reusable(request_hash(spec, document), content_hash(document), tenant);
  }

 private:
  std::unique_ptr<OpenedReader> opened_;
  std::optional<Batch> batch_;
};

// Every document that the flags let through, with the route that it takes.
void each_document(const SubmitFlags& flags, const Config& config, BatchSpec& spec,
                   const std::function<void(Document, int route)>& take) {
  read_inputs(flags, spec.kind, [&](Document document) {
    const int route = route_for(document, flags, config, spec);
    take(std::move(document), std::max(route, 0));
  });
}

// A pass that queues nothing.
Submission count_only(const SubmitFlags& flags, BatchSpec& spec, const Config& config,
                      KnownStore& known) {
  Counting counting(config, known.past(), SystemClock().now_ms());
  each_document(flags, config, spec, [&](const Document& document, int route) {
    std::optional<std::int64_t> saved_pusd;
    if (!flags.fresh) {
      const auto reuses = choose_reuse(known.reusable(spec, document, tenant_of(flags)),
                                       spec.routes[static_cast<std::size_t>(route)].chain);
      if (reuses) saved_pusd = reuses->cost_pusd;
    }
    counting.add({document.id, document.text, document.error}, spec, route,
                 known.would_add(document), saved_pusd);
  });
  return counting.result();
}

std::optional<std::int64_t> cap_of(const SubmitFlags& flags, const Config& config) {
  if (flags.max_cost.empty()) return config.batch_cap_pusd;
  return parse_cost_flag("--max-cost", flags.max_cost);
}

// A cap needs a bound on every request; what has none is refused here, by name.
void check_cap(const BatchSpec& spec, const Config& config, const std::string& tenant,
               const std::optional<std::int64_t>& cap_pusd) {
  const CapOptions& caps = config.worker.caps;
  const bool is_capped = cap_pusd || caps.daily_pusd || caps.tenants.contains(tenant);
  if (!is_capped) return;
  const char* what = cap_pusd ? "--max-cost" : "[caps]";
  for (const Link& link : spec.routes.front().chain) {
    const Model& model = config.models.at(link.model);
    if (!model.price) {
      throw UsageError(fmt::format(
          "{} needs a price for every model of the chain, and \"{}\" has none: give it one in the "
          "config, or docmill prices set {} --input USD --output USD (per million tokens)",
          what, link.model, link.model));
    }
    if (const std::string reason = unbounded_reason(model); !reason.empty()) {
      throw UsageError(fmt::format(
          "{} needs a bound on every request, and \"{}\" has {}: its output limit does not bound "
          "what it bills. Give --models without it, or no cap",
          what, link.model, reason));
    }
  }
}

// A price per token or per thousand tokens, written where one per million belongs, would make every
// bill wrong and every cap worthless.
void check_prices(const SubmitFlags& flags, const BatchSpec& spec, const Config& config,
                  OpenedQueue& opened) {
  if (flags.yes) return;
  for (const Route& route : spec.routes) {
    for (const Link& link : route.chain) {
      const Model& model = config.models.at(link.model);
      if (!model.price) continue;
      const std::string doubt = price_doubt(
          *model.price, known_prices(&opened.queue.prices(), model.name, opened.clock.now_ms()));
      if (doubt.empty()) continue;
      throw UsageError(fmt::format("{}: {} has {}; mend it, or give --yes if it is right",
                                   model.price_source, link.model, doubt));
    }
  }
}

// Above [caps] confirm somebody has to say yes, before anything is queued.
void confirm(const Global& global, const SubmitFlags& flags, BatchSpec spec, const Config& config,
             KnownStore& known, const std::optional<std::int64_t>& cap_pusd) {
  if (!config.confirm_pusd || flags.yes || cap_pusd) return;
  const bool reads_stdin =
      std::find(flags.inputs.begin(), flags.inputs.end(), "-") != flags.inputs.end();
  if (reads_stdin) {
    throw UsageError(
        "[caps] confirm is set, and stdin can be read only once: give --yes or "
        "--max-cost USD");
  }
  const BatchEstimate estimate = count_only(flags, spec, config, known).estimate;
  if (estimate.cost_pusd.high <= *config.confirm_pusd && !estimate.is_unpriced) return;
  const std::string cost =
      estimate.is_unpriced
          ? "an unknown amount"
          : fmt::format("some {} and up to {}", human_usd(estimate.cost_pusd.expected),
                        human_usd(estimate.cost_pusd.high));
  if (!is_terminal(STDIN_FILENO) || !is_terminal(STDERR_FILENO)) {
    throw UsageError(
        fmt::format("this may cost {}, above [caps] confirm: give --yes or --max-cost "
                    "USD",
                    cost));
  }
  say(global, fmt::format("this may cost {}. Go on? [y/N]", cost));
  std::string reply;
  std::getline(std::cin, reply);
  if (reply != "y" && reply != "Y" && reply != "yes") throw UsageError("nothing was queued");
}

// What a trial paid for is taken over like any earlier answer; this says if there is none.
void check_from_trial(const SubmitFlags& flags, const BatchSpec& spec, JobStore& jobs) {
  if (flags.from_trial.empty()) return;
  if (flags.fresh) throw UsageError("--fresh asks again for all, --from-trial does not; give one");
  std::string tried;
  for (const Link& link : spec.routes.front().chain) {
    const std::string name = trial_batch(flags.from_trial, link.model);
    if (jobs.batch(name)) return;
    tried += (tried.empty() ? "" : ", ") + name;
  }
  throw UsageError(fmt::format("--from-trial: there is no batch {}", tried));
}

void check_same(const Batch& batch, const BatchSpec& wanted, const SubmitFlags& flags) {
  if (batch.cancelled_at_ms) {
    throw UsageError(fmt::format("batch {} was cancelled; give another --batch NAME", batch.name));
  }
  if (!flags.tenant.empty() && flags.tenant != batch.tenant) {
    throw UsageError(
        fmt::format("batch {} is there already, and is for tenant {}; give another "
                    "--batch NAME",
                    batch.name, batch.tenant));
  }
  // A cap that was asked for and does not hold would be the worst of all differences.
  if (!flags.max_cost.empty() && parse_cost_flag("--max-cost", flags.max_cost) != batch.cap_pusd) {
    throw UsageError(fmt::format(
        "batch {} is there already, {}: docmill resume {} --max-cost {} changes that", batch.name,
        batch.cap_pusd ? "capped at $" + exact_usd(*batch.cap_pusd) : "without a cap", batch.name,
        flags.max_cost));
  }
  const std::string differs = difference(parse_batch_spec(batch.spec), wanted);
  if (differs.empty()) return;
  throw UsageError(fmt::format("batch {} is there already and {}; give another --batch NAME",
                               batch.name, differs));
}

// `batch` may be older than the config: its own spec says which routes there are.
// `spec` becomes its own, with the routes that documents have added.
Submission queue_documents(OpenedQueue& opened, const SubmitFlags& flags, const Batch& batch,
                           std::vector<EstimateRecord> past, BatchSpec& spec) {
  spec = parse_batch_spec(batch.spec);
  Queueing queueing(opened, batch, {flags.priority, flags.fresh}, std::move(past));
  each_document(flags, opened.config, spec, [&](Document document, int route) {
    queueing.add(std::move(document), route, spec);
  });
  Submission sum = queueing.finish(spec);
  sum.batch = batch.name;
  return sum;
}

}  // namespace

void read_inputs(const SubmitFlags& flags, TaskKind kind,
                 const std::function<void(Document)>& take) {
  if (flags.documents != nullptr) {
    for (const Document& document : *flags.documents) take(document);
    return;
  }
  struct EnoughRead {};
  std::int64_t left = flags.limit > 0 ? flags.limit : std::numeric_limits<std::int64_t>::max();
  try {
    read_documents(flags.inputs, read_options(flags, kind), [&](Document document) {
      if (left-- == 0) throw EnoughRead{};
      take(std::move(document));
    });
  } catch (const EnoughRead&) {
  }
}

void declare_submit_flags(CLI::App& command, SubmitFlags& flags) {
  command
      .add_option("TASK", flags.task,
                  "summarise, translate, extract, or one of the config's (docmill tasks)")
      ->required();
  command.add_option("INPUT", flags.inputs, "files, folders (recursive), or - for stdin")
      ->required();
  command.add_option("--batch", flags.batch, "the batch's name (default: TASK-INPUTNAME)");
  command.add_option("--models", flags.models, "the chain: A,B,C, tried in this order");
  command.add_option("--route", flags.route, "a chain of the config's [routes]");
  command.add_option("--instructions", flags.instructions, "added to the prompt: TEXT or @FILE");
  command.add_option("--to", flags.to, "translate: the language to translate into");
  command.add_option("--from", flags.from, "translate: the language of the documents");
  command.add_option("--schema", flags.schema, "extract: a file with a JSON Schema");
  command.add_option("--fields", flags.fields, "extract: \"name, date, total number\"");
  command.add_option("--glossary", flags.glossary,
                     "translate: a CSV or TSV file, term and translation a line");
  command.add_option("--max-cost", flags.max_cost, "USD; the batch never costs more");
  command.add_option("--priority", flags.priority, "higher goes first (default 0)");
  command.add_option("--tenant", flags.tenant,
                     "who it is for; tenants take turns (default: default)");
  command.add_option("--limit", flags.limit, "at most so many documents")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  command.add_option("--input-format", flags.input_format,
                     "of every file (default: by its name and content): " + format_names());
  command.add_option("--exclude", flags.excludes, "skip files and folders: *.bak, docs/old/*");
  command.add_option("--encoding", flags.encoding, "of text files (default: found out)");
  command.add_option("--text-column", flags.text_column, "CSV: the column with the text");
  command.add_option("--id-column", flags.id_column, "CSV: the column with the id");
  command.add_flag("--allow-blank-pages", flags.allow_blank_pages,
                   "take PDFs of which some pages have no text");
  command.add_option("--brake", flags.brake,
                     "hold the batch when this share of its last 100 documents failed (50%, off)");
  command.add_option("--regions", flags.regions, "documents stay in these regions: eu,apac");
  command.add_option("--from-trial", flags.from_trial, "take over what this trial paid for");
  command.add_flag("--dry-run", flags.dry_run, "the estimate alone; nothing is queued");
  command.add_flag("--rehearse", flags.rehearse,
                   "the whole run against a simulator: no key, no cost, nothing is kept");
  command.add_flag("--fresh", flags.fresh, "ask again for what was answered before");
  command.add_flag("--yes", flags.yes, "do not ask above [caps] confirm; the prices are right");
}

std::string worker_line(const fs::path& store) {
  const auto worker = running_worker(store);
  return worker ? fmt::format("a worker is running (pid {})", worker->pid)
                : "no worker is running: docmill work";
}

namespace {

Submission submit_dry(const Global& global, const Config& config, const fs::path& store,
                      const SubmitFlags& flags, BatchSpec spec, KnownStore& known,
                      const std::optional<std::int64_t>& cap_pusd) {
  if (known.batch()) check_same(*known.batch(), spec, flags);
  const Submission sum = count_only(flags, spec, config, known);
  std::string text;
  for (const std::string& line : submission_lines(sum, spec, config, cap_pusd)) text += line + "\n";
  text += fmt::format("Nothing was queued or sent. Without --dry-run this starts: {}.\n",
                      worker_line(store));
  if (!global.quiet) put(std::nullopt, text);
  return sum;
}

}  // namespace

Submission submit(const Global& global, const Config& given, const fs::path& store,
                  const SubmitFlags& flags) {
  Config config = given;
  BatchSpec spec = spec_of(flags, config);
  if (!flags.dry_run) create_or_migrate(store);
  price_by_store(store, config);
  say_missing_tokenizers(global, config);
  const std::optional<std::int64_t> cap_pusd = cap_of(flags, config);
  check_cap(spec, config, tenant_of(flags), cap_pusd);
  Batch wanted;
  wanted.name = default_batch_name(flags, spec);
  check_batch_name(wanted.name);
  KnownStore known(store);
  known.look_for(wanted.name);
  if (flags.dry_run) return submit_dry(global, config, store, flags, spec, known, cap_pusd);
  confirm(global, flags, spec, config, known, cap_pusd);
  const auto opened = std::make_unique<OpenedQueue>(store, config);
  check_prices(flags, spec, config, *opened);
  check_from_trial(flags, spec, opened->queue.jobs());
  wanted.task = spec.task;
  wanted.tenant = tenant_of(flags);
  wanted.spec = to_json_text(spec);
  wanted.cap_pusd = cap_pusd;
  const Batch batch = opened->queue.open_batch_in_transaction(wanted);
  check_same(batch, spec, flags);
  Submission sum;
  try {
    sum = queue_documents(*opened, flags, batch, known.past(), spec);
  } catch (const UsageError&) {
    if (!known.batch()) opened->queue.drop_empty_in_transaction(batch.id);
    if (batch.sealed_at_ms) opened->queue.seal_in_transaction(batch.id);
    throw;
  }
  for (const std::string& line : submission_lines(sum, spec, config, batch.cap_pusd)) {
    say(global, line);
  }
  return sum;
}

}  // namespace docmill
