// docmill prices: what is in force, since when and from where; lists and single prices by hand.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/money.h"
#include "base/text.h"
#include "cli/open.h"
#include "config/known.h"
#include "config/price_file.h"
#include "llm/json_text.h"
#include "llm/price_book.h"
#include "report/table.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

constexpr std::size_t kSkippedNamed = 5;

struct PricesFlags {
  bool all = false;
  bool json = false;
  std::string file;
  std::string model;
  std::string provider;
  std::string input, output, cached, write;
  std::string effective;
  bool yes = false;
};

// The same integer is micro-USD per million tokens.
std::string per_million(std::int64_t rate_pusd) {
  return exact_usd(rate_pusd * 1'000'000);
}

nlohmann::ordered_json rates_json(const ModelPrice& rates) {
  return {{"input", per_million(rates.input_pusd)},
          {"cached_input", per_million(rates.cached_input_pusd)},
          {"cache_write_input", per_million(rates.cache_write_input_pusd)},
          {"cache_write_1h_input", per_million(rates.cache_write_1h_input_pusd)},
          {"output", per_million(rates.output_pusd)}};
}

std::string condition_text(const PriceVariant& variant) {
  std::string text = variant.service_tier;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (variant.above_tokens > 0) add(fmt::format("above {}", with_commas(variant.above_tokens)));
  if (!variant.hours.empty()) add(variant.hours + " UTC");
  return text;
}

void add_to_table(Table& table, const std::string& shown, const ListedPrice& listed,
                  const std::string& estimates) {
  const auto line = [&](const std::string& name, const ModelPrice& rates, const std::string& since,
                        const std::string& from, const std::string& how_good) {
    table.add({name, per_million(rates.input_pusd), per_million(rates.cached_input_pusd),
               per_million(rates.cache_write_input_pusd), per_million(rates.output_pusd), since,
               from, how_good});
  };
  const std::string from = listed.origin == "config" || listed.origin == "snapshot"
                               ? listed.source
                               : fmt::format("{}, {}", listed.origin, listed.source);
  const std::string since =
      listed.effective_at_ms == 0 ? "not used yet" : iso_day(listed.effective_at_ms);
  line(shown, listed.price.base, since, from, estimates);
  for (const PriceVariant& variant : listed.price.variants) {
    line("  " + condition_text(variant), variant.rates, "", "", "");
  }
}

nlohmann::ordered_json to_json(const std::string& key, const ListedPrice& listed) {
  nlohmann::ordered_json row = {{"model", key}, {"provider", listed.provider}};
  row.update(rates_json(listed.price.base));
  row["since"] = listed.effective_at_ms == 0
                     ? nlohmann::ordered_json()
                     : nlohmann::ordered_json(iso_time(listed.effective_at_ms));
  row["origin"] = listed.origin;
  row["source"] = listed.source;
  row["variants"] = nlohmann::ordered_json::array();
  for (const PriceVariant& variant : listed.price.variants) {
    nlohmann::ordered_json entry = {{"tier", variant.service_tier},
                                    {"above_tokens", variant.above_tokens},
                                    {"hours", variant.hours}};
    entry.update(rates_json(variant.rates));
    row["variants"].push_back(std::move(entry));
  }
  return row;
}

// A model's price in force, with the row that the store has of it, where it has one.
ListedPrice in_force(const Model& model, PriceList* list, std::int64_t now_ms) {
  ListedPrice shown{{},
                    model.provider,
                    model.key,
                    model.price_since_ms,
                    model.price_origin.empty() ? "config" : model.price_origin,
                    model.price_source,
                    *model.price};
  if (list == nullptr || shown.origin != "config") return shown;
  const auto row = list->in_force("config", model.provider, model.key, now_ms);
  if (row && row->price == *model.price) shown.effective_at_ms = row->effective_at_ms;
  return shown;
}

// What the provider counted, of what was estimated: "0.97 of 1,204 requests".
std::string estimates_text(const std::vector<EstimateRecord>& records, const std::string& key) {
  std::int64_t requests = 0, estimated = 0, reported = 0;
  for (const EstimateRecord& record : records) {
    if (record.model != key) continue;
    requests += record.requests;
    estimated += record.estimated_tokens;
    reported += record.reported_tokens;
  }
  if (requests == 0) return "-";
  return fmt::format("x {:.3f} in {}",
                     static_cast<double>(reported) / static_cast<double>(estimated),
                     with_commas(requests));
}

struct Listing {
  std::vector<std::pair<std::string, ListedPrice>> rows;
  std::vector<std::string> unpriced, doubts;
  std::vector<EstimateRecord> records;
};

void list_models(const Config& config, PriceList* list, std::int64_t now_ms, Listing& out) {
  for (const auto& [key, model] : config.models) {
    if (!model.price) {
      out.unpriced.push_back(key);
      continue;
    }
    out.rows.emplace_back(key, in_force(model, list, now_ms));
    const std::string doubt = price_doubt(*model.price, known_prices(list, model.name, now_ms));
    if (!doubt.empty()) {
      out.doubts.push_back(fmt::format("{}: {} has {}", model.price_source, key, doubt));
    }
  }
}

int list_prices(const Global& global, const PricesFlags& flags) {
  Config config = open_config(global);
  const std::filesystem::path store = find_store(global, config);
  price_by_store(store, config);
  const std::int64_t now_ms = SystemClock().now_ms();
  Listing listing;
  if (store_exists(store)) {
    OpenedReader opened(store);
    PriceList list(opened.db);
    list_models(config, &list, now_ms, listing);
    listing.records = opened.reader.estimates();
    for (const PriceId id : flags.all ? list.all() : std::vector<PriceId>()) {
      const auto row = list.row(id);
      listing.rows.emplace_back(fmt::format("{}/{}", row->provider, row->model), *row);
    }
  } else {
    list_models(config, nullptr, now_ms, listing);
  }
  if (flags.json) {
    nlohmann::ordered_json out = {{"prices", nlohmann::ordered_json::array()},
                                  {"unpriced", listing.unpriced}};
    for (const auto& [key, listed] : listing.rows) out["prices"].push_back(to_json(key, listed));
    put({}, to_text(out) + "\n");
    return kExitDone;
  }
  Table table({"MODEL", ">INPUT", ">CACHED", ">CACHE WRITE", ">OUTPUT", "SINCE", "FROM",
               "TOKENS, BY ESTIMATE"});
  for (const auto& [key, listed] : listing.rows) {
    add_to_table(table, key, listed, estimates_text(listing.records, key));
  }
  put({}, table.text() + "USD per million tokens\n");
  for (const std::string& key : listing.unpriced) {
    say(global, fmt::format("{} has no price, so its requests are counted as unpriced", key));
  }
  for (const std::string& doubt : listing.doubts) say(global, "is this right? " + doubt);
  return kExitDone;
}

std::int64_t effective_ms(const PricesFlags& flags) {
  if (flags.effective.empty()) return SystemClock().now_ms();
  const auto at_ms = parse_iso_time(flags.effective);
  if (!at_ms) throw UsageError("--effective: a date is like 2026-11-24 (UTC)");
  return *at_ms;
}

int import_prices(const Global& global, const PricesFlags& flags) {
  const PriceFile file = read_price_file(flags.file, effective_ms(flags));
  const auto opened = open_queue(global);
  PriceList& list = opened->queue.prices();
  std::int64_t added = 0;
  Transaction transaction(opened->db);
  for (const ListedPrice& listed : file.prices) {
    std::vector<ListedPrice> known = known_prices(nullptr, listed.model, listed.effective_at_ms);
    if (const auto before = list.listed(listed.provider, listed.model, listed.effective_at_ms)) {
      known.push_back(*before);
    }
    const std::string doubt = price_doubt(listed.price, known);
    if (!doubt.empty() && !flags.yes) {
      throw UsageError(fmt::format("{}: {} has {}; nothing was imported. --yes: it is right",
                                   listed.source, listed.model, doubt));
    }
    added += list.add(listed) ? 1 : 0;
  }
  transaction.commit();
  nudge_worker(opened->store);
  say(global,
      fmt::format("{} prices: {} new or changed, {} as before",
                  with_commas(static_cast<std::int64_t>(file.prices.size())), with_commas(added),
                  with_commas(static_cast<std::int64_t>(file.prices.size()) - added)));
  if (file.rounded > 0) {
    say(global, fmt::format("{} rates were finer than 0.000001 per million tokens and are rounded",
                            with_commas(file.rounded)));
  }
  if (!file.skipped.empty()) {
    say(global, fmt::format("{} models of the file have no price that can be used{}",
                            with_commas(static_cast<std::int64_t>(file.skipped.size())),
                            global.verbose ? ":" : "; -v names all"));
  }
  const std::size_t named =
      global.verbose ? file.skipped.size() : std::min(file.skipped.size(), kSkippedNamed);
  for (std::size_t i = 0; i < named; ++i) {
    say(global,
        fmt::format("  {}: {}", printable_line(file.skipped[i].model), file.skipped[i].why));
  }
  return kExitDone;
}

std::int64_t rate_of(const std::string& flag, const std::string& text) {
  const auto amount = parse_usd(text);  // pico-USD per million tokens
  if (!amount || *amount % 1'000'000 != 0 || *amount / 1'000'000 > kMaxPricePusd) {
    throw UsageError(
        fmt::format("{}: \"{}\" is no price in USD per million tokens, such as 0.42 "
                    "(0 to 1,000, at most 6 decimals)",
                    flag, printable_line(text)));
  }
  return *amount / 1'000'000;
}

int set_price(const Global& global, const PricesFlags& flags) {
  const auto opened = open_queue(global);
  ListedPrice listed;
  listed.model = flags.model;
  listed.provider = flags.provider;
  listed.origin = "set";
  listed.source = "by hand";
  listed.effective_at_ms = effective_ms(flags);
  ModelPrice rates;
  rates.input_pusd = rate_of("--input", flags.input);
  rates.output_pusd = rate_of("--output", flags.output);
  rates.cached_input_pusd =
      flags.cached.empty() ? rates.input_pusd : rate_of("--cached-input", flags.cached);
  rates.cache_write_input_pusd =
      flags.write.empty() ? rates.input_pusd : rate_of("--cache-write-input", flags.write);
  rates.cache_write_1h_input_pusd = rates.cache_write_input_pusd;
  listed.price = rates;
  std::string name = flags.model;
  const auto model = opened->config.models.find(flags.model);
  if (model != opened->config.models.end() &&
      (flags.provider.empty() || flags.provider == model->second.provider)) {
    if (model->second.price_origin == "config") {
      throw UsageError(
          fmt::format("{}: the config has a price for {}, and that wins; change it "
                      "there",
                      model->second.price_source, flags.model));
    }
    listed.provider = model->second.provider;
    name = model->second.name;
  } else if (flags.provider.empty()) {
    std::vector<std::string> keys;
    for (const auto& [key, known] : opened->config.models) keys.push_back(key);
    const auto near = nearest(flags.model, keys);
    throw UsageError(fmt::format("the config has no model \"{}\"; {}", printable_line(flags.model),
                                 near ? fmt::format("did you mean \"{}\"?", *near)
                                      : "give --provider NAME with a model of a list"));
  }
  PriceList& list = opened->queue.prices();
  const std::string doubt =
      price_doubt(listed.price, known_prices(&list, name, listed.effective_at_ms));
  if (!doubt.empty() && !flags.yes) {
    throw UsageError(fmt::format("{} would have {}; --yes: it is right", flags.model, doubt));
  }
  Transaction transaction(opened->db);
  const bool is_new = list.add(listed);
  transaction.commit();
  nudge_worker(opened->store);
  say(global,
      is_new ? fmt::format("{} costs that from {}", flags.model, iso_time(listed.effective_at_ms))
             : fmt::format("{} costs that already", flags.model));
  return kExitDone;
}

}  // namespace

Action add_prices(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("prices", "what models cost, since when, from where");
  command->require_subcommand(1);
  static PricesFlags flags;
  CLI::App* list = command->add_subcommand("list", "what is in force for the config's models");
  list->add_flag("--all", flags.all, "every row of the store, too");
  list->add_flag("--json", flags.json, "every digit");
  CLI::App* import = command->add_subcommand(
      "import", "LiteLLM's price map (JSON), or [models.\"NAME\"] with provider, input, output");
  import->add_option("FILE", flags.file)->required();
  CLI::App* set = command->add_subcommand("set", "one price, by hand");
  set->add_option("MODEL", flags.model)->required();
  set->add_option("--input", flags.input, "USD per million tokens")->required();
  set->add_option("--output", flags.output, "USD per million tokens")->required();
  set->add_option("--cached-input", flags.cached, "default: as --input");
  set->add_option("--cache-write-input", flags.write, "default: as --input");
  set->add_option("--provider", flags.provider, "of a model that the config does not have");
  for (CLI::App* one : {import, set}) {
    one->add_option("--effective", flags.effective, "from this day on, UTC (default: now)");
    one->add_flag("--yes", flags.yes, "it is right, far off as it is from what is known");
  }
  return [&global, list, import] {
    if (list->parsed()) return list_prices(global, flags);
    return import->parsed() ? import_prices(global, flags) : set_price(global, flags);
  };
}

}  // namespace docmill
