#include "cli/submission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "base/text.h"
#include "config/known.h"
#include "queue/brake.h"
#include "store/write_lock.h"
#include "tasks/documents.h"
#include "tasks/routing.h"
#include "tasks/task.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

// So many documents, or bytes, a transaction.
constexpr std::size_t kJobsAtOnce = 1000;
constexpr std::size_t kBytesAtOnce = 16 << 20;
constexpr std::size_t kUnreadableNamed = 5;

std::string batch_name_of(const SubmitFlags& flags, const BatchSpec& spec,
                          const SystemClock& clock) {
  if (!flags.batch.empty()) return flags.batch;
  std::string name = spec.task;
  if (!flags.to.empty()) name += "-" + lower_ascii(flags.to);
  const std::string& input = flags.inputs.front();
  if (input == "-") return name + "-" + iso_time(clock.now_ms());
  const fs::path path = fs::absolute(input).lexically_normal();
  const fs::path named = path.has_filename() ? path : path.parent_path();
  const bool is_folder = fs::is_directory(named);
  return name + "-" + (is_folder ? named.filename() : named.stem()).string();
}

void check_batch_name(const std::string& name) {
  const bool clean = !name.empty() && name.size() <= 200 && name.front() != '-' &&
                     is_valid_utf8(name) && printable_line(name) == name;
  if (!clean) {
    throw UsageError("--batch: a name has 1 to 200 printable bytes and does not begin with -");
  }
}

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> words;
  std::size_t start = 0;
  while (start <= list.size()) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    words.emplace_back(trimmed(std::string_view(list).substr(start, comma - start)));
    start = comma + 1;
  }
  return words;
}

void check_model(const std::string& key, const Config& config) {
  if (config.models.contains(key)) return;
  std::vector<std::string> keys;
  for (const auto& [known, model] : config.models) keys.push_back(known);
  const auto near = nearest(key, keys);
  throw UsageError(fmt::format("the config has no model \"{}\"; {}", key,
                               near ? fmt::format("did you mean \"{}\"?", *near)
                                    : fmt::format("it has {}", fmt::join(keys, ", "))));
}

Chain chain_of(const SubmitFlags& flags, const BatchSpec& spec, const Config& config) {
  Chain chain;
  const auto task = config.tasks.find(spec.task);
  if (!flags.models.empty()) {
    for (std::string& key : split_list(flags.models)) chain.emplace_back(std::move(key));
  } else if (!flags.route.empty()) {
    const auto route = config.routes.find(flags.route);
    if (route == config.routes.end()) {
      throw UsageError(fmt::format("--route: the config has no [routes.{}]", flags.route));
    }
    chain = route->second;
  } else if (task != config.tasks.end() && task->second.chain) {
    chain = *task->second.chain;
  } else if (!config.default_chain.empty()) {
    chain = config.default_chain;
  } else if (config.models.size() == 1) {
    chain.emplace_back(config.models.begin()->first);
  } else {
    throw UsageError("which model? Give --models A,B, or [defaults] chain in the config");
  }
  std::set<std::string> distinct;
  for (const Link& link : chain) {
    check_model(link.model, config);
    distinct.insert(link.model);
  }
  if (distinct.size() != chain.size()) throw UsageError("--models: a model stands there twice");
  return chain;
}

void add_routes(const SubmitFlags& flags, const Config& config, BatchSpec& spec) {
  const Chain chain =
      within_regions(chain_of(flags, spec, config), spec.regions, config.providers, config.models);
  if (chain.empty()) {
    throw UsageError(fmt::format(
        "--regions {}: no model of the chain is there; [providers.NAME] region says where one is",
        flags.regions));
  }
  spec.routes.push_back({flags.route.empty() ? "default" : flags.route, chain});
  // Records and rules may name a route; those of the config come along, in the order of their
  // names.
  for (const auto& [name, full] : config.routes) {
    Chain within = within_regions(full, spec.regions, config.providers, config.models);
    if (name != flags.route && !within.empty()) spec.routes.push_back({name, std::move(within)});
  }
}

std::string text_or_file(const std::string& flag, const std::string& value) {
  if (!value.starts_with('@')) return value;
  const auto content = read_file(value.substr(1), 1 << 20);
  if (!content) throw UsageError(fmt::format("{}: {} is larger than 1 MiB", flag, value.substr(1)));
  return std::string(trimmed(*content));
}

BatchSpec spec_of(const SubmitFlags& flags, const Config& config) {
  if (config.models.empty()) {
    throw UsageError(
        fmt::format("no model is configured: docmill init --provider NAME writes a docmill.toml; "
                    "or set one of {}",
                    fmt::join(known_key_variables(), ", ")));
  }
  TaskParameters parameters;
  parameters.to = flags.to;
  parameters.from = flags.from;
  parameters.instructions = text_or_file("--instructions", flags.instructions);
  if (!flags.schema.empty() && !flags.fields.empty()) {
    throw UsageError("--schema and --fields are two ways to say one thing; give one");
  }
  if (!flags.schema.empty()) {
    parameters.schema_text = text_or_file("--schema", "@" + flags.schema);
  } else if (!flags.fields.empty()) {
    parameters.schema_text = schema_of_fields(flags.fields);
  }
  BatchSpec spec = make_spec(flags.task, parameters);
  const auto task = config.tasks.find(spec.task);
  if (task != config.tasks.end() && task->second.max_output_tokens) {
    spec.max_output_tokens = *task->second.max_output_tokens;
  }
  if (!flags.brake.empty()) {
    const auto percent = parse_brake(flags.brake);
    if (!percent) {
      throw UsageError(fmt::format("--brake: \"{}\" is neither a share such as 50% nor off",
                                   printable_line(flags.brake)));
    }
    spec.brake = *percent == 0 ? "off" : fmt::format("{}%", *percent);
  }
  if (!flags.regions.empty()) {
    spec.regions = split_list(lower_ascii(flags.regions));
    std::sort(spec.regions.begin(), spec.regions.end());
  }
  add_routes(flags, config, spec);
  return spec;
}

InputFormat format_of(const SubmitFlags& flags) {
  if (flags.input_format.empty()) return InputFormat::by_name;
  if (flags.input_format == "text" || flags.input_format == "markdown") return InputFormat::text;
  if (flags.input_format == "jsonl") return InputFormat::jsonl;
  throw UsageError(
      fmt::format("--input-format: \"{}\" is not read by this version; it reads text, "
                  "markdown and jsonl",
                  printable_line(flags.input_format)));
}

// The route that a document takes: its own word, or --route, or the task's rules. -1: the batch
// has none of that name.
int route_for(const Document& document, const SubmitFlags& flags, const Config& config,
              BatchSpec& spec) {
  const int route = document.route.empty() ? 0 : route_index(spec, document.route);
  const auto task = config.tasks.find(spec.task);
  if (route < 0 || task == config.tasks.end() || !document.error.empty()) return route;
  const bool rules_apply = document.route.empty() && flags.route.empty() && flags.models.empty();
  return choose_route(spec, route, rules_apply, task->second.routing, config.models, document.text);
}

// Adds a document to what the estimate sums up.
void count_document(Submission& sum, const Document& document, const BatchSpec& spec, int chosen,
                    const Config& config) {
  ++sum.documents;
  if (!document.error.empty()) {
    ++sum.unreadable;
    if (sum.unreadable_names.size() < kUnreadableNamed) {
      sum.unreadable_names.push_back(
          fmt::format("{}: {}", printable_line(document.id), printable_line(document.error)));
    }
    return;
  }
  const Route& route = spec.routes[static_cast<std::size_t>(chosen)];
  ++sum.routes[chosen];
  const Model& model = config.models.at(route.chain.front().model);
  const ChatRequest request = request_for(spec, model, document.text);
  const std::int64_t input = estimated_tokens(spec.system) + estimated_tokens(document.text) + 8;
  sum.text_bytes += static_cast<std::int64_t>(document.text.size());
  sum.input_tokens += input;
  sum.most_output_tokens += request.max_output_tokens;
  if (model.price) {
    sum.most_cost_pusd +=
        ceiling_pusd(std::min(input, kMaxTokens), request.max_output_tokens, *model.price);
  } else {
    sum.is_unpriced = true;
  }
}

// Every document that the flags let through, with the route that it takes.
void each_document(const SubmitFlags& flags, const Config& config, BatchSpec& spec,
                   const std::function<void(Document, int route)>& take) {
  struct EnoughRead {};
  std::int64_t left = flags.limit > 0 ? flags.limit : std::numeric_limits<std::int64_t>::max();
  try {
    read_documents(flags.inputs, format_of(flags), [&](Document document) {
      if (left-- == 0) throw EnoughRead{};
      const int route = route_for(document, flags, config, spec);
      if (document.error.empty() && route < 0) {
        document.error = fmt::format("its route \"{}\" is not one of the batch's", document.route);
      }
      take(std::move(document), std::max(route, 0));
    });
  } catch (const EnoughRead&) {
  }
}

std::string where_to(const Chain& chain, const Config& config) {
  std::string where;
  for (const Link& link : chain) {
    where += where.empty() ? "" : ", then ";
    where += link.model;
    const auto model = config.models.find(link.model);  // a batch may be older than the config
    if (model == config.models.end()) continue;
    where += fmt::format(" ({})", config.providers.at(model->second.provider).base_url);
  }
  return where;
}

void print_estimate(const Global& global, const Submission& sum, const BatchSpec& spec,
                    const Config& config, const std::optional<std::int64_t>& cap_pusd) {
  say(global,
      fmt::format("{} documents, {} of text: {} new, {} changed, {} unchanged",
                  with_commas(sum.documents), human_bytes(sum.text_bytes), with_commas(sum.fresh),
                  with_commas(sum.changed), with_commas(sum.unchanged)));
  if (sum.unreadable > 0) {
    say(global, fmt::format("can't be read: {}", with_commas(sum.unreadable)));
    for (const std::string& name : sum.unreadable_names) say(global, "  " + name);
  }
  say(global, fmt::format("tokens in ~{}, out at most {}", with_commas(sum.input_tokens),
                          with_commas(sum.most_output_tokens)));
  say(global,
      sum.is_unpriced
          ? "cost unknown: the model has no price (docmill prices set)"
          : fmt::format("cost at most ~{} if the first model answers everything{}",
                        human_usd(sum.most_cost_pusd),
                        cap_pusd ? fmt::format(", capped at {}", human_usd(*cap_pusd)) : ""));
  for (const auto& [route, documents] : sum.routes) {
    const Route& taken = spec.routes[static_cast<std::size_t>(route)];
    const std::string who =
        sum.routes.size() == 1
            ? std::string()
            : fmt::format("{} by route {}: ", with_commas(documents), printable_line(taken.name));
    say(global, who + "sent to " + where_to(taken.chain, config));
  }
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
    if (model.unbounded_reasoning) {
      throw UsageError(fmt::format(
          "{} needs a bound on every request, and \"{}\" has unbounded_reasoning: its output "
          "limit does not bound what it bills. Give --models without it, or no cap",
          what, link.model));
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
             const std::optional<std::int64_t>& cap_pusd) {
  if (!config.confirm_pusd || flags.yes || cap_pusd) return;
  const bool reads_stdin =
      std::find(flags.inputs.begin(), flags.inputs.end(), "-") != flags.inputs.end();
  if (reads_stdin) {
    throw UsageError(
        "[caps] confirm is set, and stdin can be read only once: give --yes or "
        "--max-cost USD");
  }
  Submission sum;
  each_document(flags, config, spec, [&](const Document& document, int route) {
    count_document(sum, document, spec, route, config);
  });
  if (sum.most_cost_pusd <= *config.confirm_pusd && !sum.is_unpriced) return;
  const std::string cost =
      sum.is_unpriced ? "an unknown amount" : "up to ~" + human_usd(sum.most_cost_pusd);
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

void check_same(const Batch& batch, const BatchSpec& wanted) {
  if (batch.cancelled_at_ms) {
    throw UsageError(fmt::format("batch {} was cancelled; give another --batch NAME", batch.name));
  }
  const std::string differs = difference(parse_batch_spec(batch.spec), wanted);
  if (differs.empty()) return;
  throw UsageError(fmt::format("batch {} is there already and {}; give another --batch NAME",
                               batch.name, differs));
}

// `batch` may be older than the config: its own spec says which routes there are.
// Its spec, with the routes that documents have added.
BatchSpec queue_documents(OpenedQueue& opened, const SubmitFlags& flags, const Batch& batch,
                          Submission& sum) {
  BatchSpec spec = parse_batch_spec(batch.spec);
  std::size_t known_routes = spec.routes.size();
  std::string known_spec = batch.spec;
  std::vector<NewJob> jobs;
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (spec.routes.size() > known_routes) {
      known_routes = spec.routes.size();
      Transaction transaction(opened.db);
      if (opened.queue.jobs().batch(batch.id).spec != known_spec) {
        throw UsageError(fmt::format(
            "another submit adds routes to batch {}; run this one again when it has ended",
            batch.name));
      }
      known_spec = to_json_text(spec);
      opened.queue.jobs().set_spec(batch.id, known_spec);
      transaction.commit();
    }
    const AddedCounts added = opened.queue.add_in_transaction(batch.id, jobs);
    sum.fresh += added.fresh;
    sum.changed += added.changed;
    sum.unchanged += added.unchanged;
    jobs.clear();
    bytes = 0;
    nudge_worker(opened.store);
  };
  each_document(flags, opened.config, spec, [&](Document document, int route) {
    count_document(sum, document, spec, route, opened.config);
    bytes += document.text.size();
    jobs.push_back(new_job(std::move(document), flags.priority, route));
    if (jobs.size() >= kJobsAtOnce || bytes >= kBytesAtOnce) flush();
  });
  flush();
  opened.queue.seal_in_transaction(batch.id);
  nudge_worker(opened.store);
  return spec;
}

}  // namespace

void declare_submit_flags(CLI::App& command, SubmitFlags& flags) {
  command.add_option("TASK", flags.task, "summarise, translate or extract")->required();
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
  command.add_option("--max-cost", flags.max_cost, "USD; the batch never costs more");
  command.add_option("--priority", flags.priority, "higher goes first (default 0)");
  command.add_option("--tenant", flags.tenant, "who it is for; tenants take turns");
  command.add_option("--limit", flags.limit, "at most so many documents");
  command.add_option("--input-format", flags.input_format, "text, markdown or jsonl");
  command.add_option("--brake", flags.brake,
                     "hold the batch when this share of its last 100 documents failed (50%, off)");
  command.add_option("--regions", flags.regions, "documents stay in these regions: eu,apac");
  command.add_flag("--dry-run", flags.dry_run, "the estimate alone; nothing is queued");
  command.add_flag("--yes", flags.yes, "do not ask above [caps] confirm; the prices are right");
}

Submission submit(const Global& global, const SubmitFlags& flags) {
  Config config = open_config(global);
  BatchSpec spec = spec_of(flags, config);
  const fs::path store = find_store(global, config);
  if (!flags.dry_run) create_or_migrate(store);
  price_by_store(store, config);
  const std::optional<std::int64_t> cap_pusd = cap_of(flags, config);
  check_cap(spec, config, flags.tenant, cap_pusd);
  Submission sum;
  if (flags.dry_run) {
    each_document(flags, config, spec, [&](const Document& document, int route) {
      count_document(sum, document, spec, route, config);
    });
    sum.fresh = sum.documents - sum.unreadable;
    print_estimate(global, sum, spec, config, cap_pusd);
    say(global, "nothing was queued or sent");
    return sum;
  }
  confirm(global, flags, spec, config, cap_pusd);
  const auto opened = std::make_unique<OpenedQueue>(store, config);
  check_prices(flags, spec, config, *opened);
  Batch wanted;
  wanted.name = batch_name_of(flags, spec, opened->clock);
  check_batch_name(wanted.name);
  wanted.task = spec.task;
  wanted.tenant = flags.tenant;
  wanted.spec = to_json_text(spec);
  wanted.cap_pusd = cap_pusd;
  const Batch batch = opened->queue.open_batch_in_transaction(wanted);
  check_same(batch, spec);
  sum.batch = batch.name;
  spec = queue_documents(*opened, flags, batch, sum);
  print_estimate(global, sum, spec, config, batch.cap_pusd);
  return sum;
}

}  // namespace docmill
