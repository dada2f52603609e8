// [models.NAME]: what a model is called, what it costs, how much fits.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/text.h"
#include "config/parts.h"
#include "llm/tokenizers.h"
#include "store/hours.h"

namespace docmill {
namespace {

nlohmann::json to_json(const toml::node& node, const TomlTable& model) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  const auto* number = node.as_floating_point();
  if (number != nullptr && std::isfinite(number->get())) return number->get();
  if (const auto* array = node.as_array()) {
    nlohmann::json values = nlohmann::json::array();
    for (const toml::node& entry : *array) values.push_back(to_json(entry, model));
    return values;
  }
  const auto* table = node.as_table();
  if (table == nullptr) {
    model.file().fail(node.source().begin.line,
                      "\"extra_body\" has a date, a time or a number that JSON cannot say");
  }
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [key, value] : *table) object[std::string(key.str())] = to_json(value, model);
  return object;
}

std::optional<ModelPrice> read_rates_of(TomlTable& table) {
  const std::optional<std::int64_t> input_pusd = table.price_pusd("input");
  const std::optional<std::int64_t> output_pusd = table.price_pusd("output");
  const std::optional<std::int64_t> cached_pusd = table.price_pusd("cached_input");
  const std::optional<std::int64_t> write_pusd = table.price_pusd("cache_write_input");
  const std::optional<std::int64_t> hour_pusd = table.price_pusd("cache_write_1h_input");
  if (!input_pusd || !output_pusd) return std::nullopt;
  ModelPrice price;
  price.input_pusd = *input_pusd;
  price.cached_input_pusd = cached_pusd.value_or(*input_pusd);
  price.cache_write_input_pusd = write_pusd.value_or(*input_pusd);
  price.output_pusd = *output_pusd;
  price.cache_write_1h_input_pusd = hour_pusd.value_or(price.cache_write_input_pusd);
  return price;
}

// What the flex tier costs, where a reply says that it served the request.
std::optional<ModelPrice> read_flex_rates(TomlTable& table, bool has_price) {
  const std::optional<std::int64_t> input_pusd = table.price_pusd("flex_input");
  const std::optional<std::int64_t> output_pusd = table.price_pusd("flex_output");
  const std::optional<std::int64_t> cached_pusd = table.price_pusd("flex_cached_input");
  if (!input_pusd && !output_pusd && !cached_pusd) return std::nullopt;
  if (!input_pusd || !output_pusd || !has_price) {
    table.fail(input_pusd ? "flex_input" : "flex_output",
               fmt::format("{}: a flex price needs \"flex_input\" and \"flex_output\" beside "
                           "\"input\" and \"output\"",
                           table.title()));
  }
  return ModelPrice{*input_pusd, cached_pusd.value_or(*input_pusd), *input_pusd, *output_pusd,
                    *input_pusd};
}

PriceVariant read_variant(TomlTable& table) {
  PriceVariant variant;
  variant.service_tier = table.one_of("tier", {"flex", "batch", "priority"}).value_or("");
  variant.above_tokens = table.whole("above_tokens", 1, 100'000'000).value_or(0);
  if (const auto hours = table.text("hours")) {
    const auto canonical = canonical_hours(*hours);
    if (!canonical) {
      table.fail("hours",
                 fmt::format("\"hours\" is like \"Mon-Fri 01:00-04:00, 06:00-10:00\" (UTC), "
                             "not \"{}\"",
                             printable_line(*hours)));
    }
    variant.hours = *canonical;
  }
  const auto rates = read_rates_of(table);
  const bool is_conditional =
      !variant.service_tier.empty() || variant.above_tokens > 0 || !variant.hours.empty();
  if (!rates || !is_conditional) {
    table.fail("input",
               fmt::format("{}: each of \"price_variants\" needs \"input\" and \"output\", "
                           "and \"tier\", \"above_tokens\" or \"hours\"",
                           table.title()));
  }
  variant.rates = *rates;
  table.reject_unknown_keys();
  return variant;
}

void read_sizes(TomlTable& table, Model& model) {
  constexpr std::int64_t kMost = 100'000'000;
  const std::int64_t context_tokens =
      table.whole("context_tokens", 1, kMost).value_or(model.context_tokens);
  model.context_tokens = context_tokens;
  // Half of a small context, so that a document still fits beside its answer.
  const std::int64_t default_tokens =
      std::min(model.max_output_tokens, std::max<std::int64_t>(1, context_tokens / 2));
  model.max_output_tokens = table.whole("max_output_tokens", 1, kMost).value_or(default_tokens);
  if (model.max_output_tokens > context_tokens) {
    table.fail("max_output_tokens",
               fmt::format("\"max_output_tokens\" is {}, more than \"context_tokens\", which is {}",
                           model.max_output_tokens, context_tokens));
  }
}

JsonMode read_json_mode(TomlTable& table) {
  const std::string mode = table.one_of("json", {"schema", "object", "none"}).value_or("object");
  if (mode == "schema") return JsonMode::schema;
  return mode == "none" ? JsonMode::none : JsonMode::object;
}

void read_limits(TomlTable& table, Model& model) {
  model.per_minute = read_rates(table);
  if (const std::optional<std::int64_t> in_flight = table.whole("in_flight", 1, 10'000)) {
    model.in_flight = static_cast<int>(*in_flight);
  }
}

void read_tokenizer(TomlTable& table, Model& model) {
  const auto name = table.text("tokenizer");
  if (!name) return;
  const std::vector<std::string> names = tokenizer_names();
  if (is_tokenizer_path(*name)) {
    model.tokenizer = table.file().resolved(*name).string();
    if (!std::filesystem::exists(model.tokenizer)) {
      table.fail("tokenizer", fmt::format("\"tokenizer\": there is no file {}", model.tokenizer));
    }
  } else if (std::find(names.begin(), names.end(), *name) != names.end()) {
    model.tokenizer = *name;
  } else {
    table.fail("tokenizer",
               unknown_name("tokenizer", *name, names) + "; or give the path of a tokenizer.json");
  }
}

void read_ways(TomlTable& table, Model& model) {
  model.stream = table.flag("stream").value_or(false);
  model.unbounded_reasoning = table.flag("unbounded_reasoning").value_or(false);
  model.service_tier =
      table.one_of("service_tier", {"auto", "default", "flex", "priority", "standard_only"})
          .value_or("");
  model.pin = table.text("pin").value_or("");
  if (const auto day = table.text("shuts_down")) {
    model.shuts_down_ms = parse_iso_time(*day);
    if (!model.shuts_down_ms) {
      table.fail("shuts_down", "\"shuts_down\" must be a day, such as \"2027-03-31\"");
    }
  }
  read_tokenizer(table, model);
}

void check_provider(const TomlTable& table, const Model& model, const Providers& providers) {
  if (model.provider.empty()) {
    table.fail(fmt::format("{} needs provider = \"NAME\", one of [providers]", table.title()));
  }
  if (providers.count(model.provider) > 0) return;
  table.fail("provider", unknown_name("provider", model.provider, names_of(providers)));
}

// Known keys by which a request costs more than its text and its answer.
std::string unbounded_key_of(const std::string& extra_body) {
  if (extra_body.empty()) return "";
  const auto extra = nlohmann::json::parse(extra_body);
  for (const char* key : kUnboundedKeys) {
    if (extra.contains(key)) return key;
  }
  for (const char* key : {"tools", "functions"}) {
    if (extra.contains(key)) return key;
  }
  return "";
}

Model read_model(const std::string& key, TomlTable& table, const Providers& providers) {
  Model model;
  model.key = key;
  model.provider = table.text("provider").value_or("");
  model.name = table.text("name").value_or(key);
  model.price = read_price(table);
  read_sizes(table, model);
  model.temperature = table.number("temperature", 0, 2);
  model.json = read_json_mode(table);
  model.max_tokens_field = table.one_of("max_tokens_field", {"max_tokens", "max_completion_tokens"})
                               .value_or(model.max_tokens_field);
  model.extra_body = read_extra_body(table);
  model.unbounded_key = unbounded_key_of(model.extra_body);
  read_limits(table, model);
  read_ways(table, model);
  table.reject_unknown_keys();
  check_price_is_whole(table);
  check_provider(table, model, providers);
  return model;
}

}  // namespace

Rates read_rates(TomlTable& table) {
  Rates rates;
  rates.requests = table.number("requests_per_minute", 0.001, 1e9);
  rates.tokens = table.number("tokens_per_minute", 1, 1e12);
  rates.input_tokens = table.number("input_tokens_per_minute", 1, 1e12);
  rates.output_tokens = table.number("output_tokens_per_minute", 1, 1e12);
  return rates;
}

std::string read_extra_body(TomlTable& model) {
  // What docmill itself puts into a request; another value would break the ledger or the cap.
  static const std::set<std::string> kOurs = {"model",
                                              "messages",
                                              "stream",
                                              "stream_options",
                                              "n",
                                              "max_tokens",
                                              "max_completion_tokens",
                                              "service_tier"};
  const std::optional<TomlTable> table = model.table("extra_body");
  if (!table || table->toml().empty()) return "";
  for (const auto& [key, value] : table->toml()) {
    if (kOurs.count(std::string(key.str())) == 0) continue;
    model.file().fail(key.source().begin.line,
                      fmt::format("\"extra_body\" may not set \"{}\"; docmill sets it", key.str()));
  }
  return to_json(table->toml(), model).dump();
}

void check_price_is_whole(const TomlTable& table) {
  if (table.has("input") && table.has("output")) return;
  for (const char* key :
       {"input", "output", "cached_input", "cache_write_input", "cache_write_1h_input"}) {
    if (!table.has(key)) continue;
    table.fail(key, fmt::format("{} has \"{}\" but no \"{}\"; a price needs \"input\" and "
                                "\"output\" (neither: the model is unpriced)",
                                table.title(), key, table.has("input") ? "output" : "input"));
  }
}

std::optional<Price> read_price(TomlTable& table) {
  const auto base = read_rates_of(table);
  std::vector<TomlTable> variants = table.tables("price_variants");
  const auto flex = read_flex_rates(table, base.has_value());
  if (!base && !variants.empty()) {
    table.fail("price_variants", fmt::format("{} has \"price_variants\" but no \"input\" and "
                                             "\"output\"; a price needs them first",
                                             table.title()));
  }
  if (!base) return std::nullopt;
  Price price = *base;
  if (flex) price.variants.push_back({"flex", 0, "", *flex});
  for (TomlTable& variant : variants) price.variants.push_back(read_variant(variant));
  std::set<std::tuple<std::string, std::int64_t, std::string>> seen;
  for (const PriceVariant& variant : price.variants) {
    if (seen.emplace(variant.service_tier, variant.above_tokens, variant.hours).second) continue;
    table.fail("price_variants", fmt::format("{} has two prices for the same", table.title()));
  }
  return price;
}

void read_models(const TomlTable& table, const Providers& providers, Config& config) {
  reject_dotted_names(table, {"extra_body"});
  for (auto& [key, own] : table.named_tables()) {
    Model model = read_model(key, own, providers);
    if (model.price) {
      model.price_origin = "config";
      model.price_source =
          fmt::format("{}:{}", config.file.filename().string(), own.line_of("input"));
    }
    config.models.emplace(key, std::move(model));
  }
}

}  // namespace docmill
