// LiteLLM's price map. A rate's key is a base name, then what it is for: "_above_200k_tokens",
// "_priority". As LiteLLM bills it (litellm_core_utils/llm_cost_calc/utils.py), the whole request
// goes by the largest size that it exceeds, and a rate that is not given for it is the base's.

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/errors.h"
#include "base/money.h"
#include "base/text.h"
#include "config/price_file.h"
#include "store/hours.h"

namespace docmill {
namespace {

using nlohmann::json;

constexpr std::string_view kHourSuffix = "_above_1hr";

struct Rates {
  std::optional<std::int64_t> input, output, cached, write, hour;
};

struct RateName {
  std::string_view key;
  std::optional<std::int64_t> Rates::*rate;
};
constexpr std::array<RateName, 5> kRates = {{{"input_cost_per_token", &Rates::input},
                                             {"output_cost_per_token", &Rates::output},
                                             {"cache_read_input_token_cost", &Rates::cached},
                                             {"input_cost_per_token_cache_hit", &Rates::cached},
                                             {"cache_creation_input_token_cost", &Rates::write}}};

// What a model is asked for whose requests are billed by tokens alone.
bool is_chat(const json& row) {
  const auto mode = row.find("mode");
  if (mode == row.end() || !mode->is_string()) return false;
  const auto& text = mode->get_ref<const std::string&>();
  return text == "chat" || text == "completion" || text == "responses";
}

struct Condition {
  std::string tier;
  std::int64_t above_tokens = 0;
  auto operator<=>(const Condition&) const = default;
};

// "_above_200k_tokens_priority". Nothing: it is another kind of rate, per image or per second.
std::optional<Condition> condition_of(std::string_view suffix) {
  Condition condition;
  constexpr std::string_view kAbove = "_above_";
  constexpr std::string_view kTokens = "k_tokens";
  if (suffix.starts_with(kAbove)) {
    const std::string_view rest = suffix.substr(kAbove.size());
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), condition.above_tokens);
    const std::string_view after = rest.substr(static_cast<std::size_t>(end - rest.data()));
    if (error != std::errc() || !after.starts_with(kTokens) || condition.above_tokens < 1 ||
        condition.above_tokens > 100'000) {
      return std::nullopt;
    }
    condition.above_tokens *= 1000;
    suffix = after.substr(kTokens.size());
  }
  if (suffix.empty()) return condition;
  if (suffix == "_batches") condition.tier = "batch";
  if (suffix == "_flex" || suffix == "_priority") condition.tier = suffix.substr(1);
  return condition.tier.empty() ? std::nullopt : std::optional(condition);
}

class Row {
 public:
  Row(const std::string& key, const json& row, PriceFile& out) : key_(key), row_(row), out_(out) {}

  std::optional<Price> price() {
    if (const std::string why = unreadable(); !why.empty()) return skip(why);
    for (const auto& [name, value] : row_.items()) {
      if (value.is_number()) collect(name, value.get<double>());
    }
    if (!problem_.empty()) return skip(problem_);
    read_ranges();
    const auto base = rates_.find(Condition{});
    if (base == rates_.end() || !base->second.input || !base->second.output) {
      return skip("no price per token");
    }
    Price price = filled(base->second, {});
    if (price.base.input_pusd == 0 && price.base.output_pusd == 0) {
      return skip("its price is 0, which may mean unknown");
    }
    for (const auto& [condition, rates] : rates_) {
      if (condition == Condition{}) continue;
      price.variants.push_back(
          {condition.tier, condition.above_tokens, "", filled(rates, ground_of(condition))});
    }
    if (!add_hours(price)) return skip("its hours cannot be read");
    return price;
  }

 private:
  std::optional<Price> skip(const std::string& why) {
    out_.skipped.push_back({key_, why});
    return std::nullopt;
  }

  // Why it is billed by more than the buckets that we have; empty: it is not.
  std::string unreadable() const {
    if (row_.contains("input_cost_per_request")) return "it is billed by the request, too";
    const auto reasoning = row_.find("output_cost_per_reasoning_token");
    if (reasoning == row_.end() || !reasoning->is_number()) return {};
    const auto output = row_.find("output_cost_per_token");
    const bool is_same = output != row_.end() && output->is_number() &&
                         std::abs(output->get<double>() - reasoning->get<double>()) < 1e-13;
    return is_same ? "" : "reasoning has a rate of its own";
  }

  std::optional<std::int64_t> pusd(double usd) {
    const double exact = usd * 1e12;
    if (!(exact >= 0 && exact <= static_cast<double>(kMaxPricePusd))) {
      problem_ = fmt::format("a price of {} USD per token is not believed", usd);
      return std::nullopt;
    }
    const double nearest = std::round(exact);
    if (std::abs(exact - nearest) > 1e-3) ++out_.rounded;
    return static_cast<std::int64_t>(nearest);
  }

  void collect(std::string_view name, double usd) {
    // The longest base name wins: "input_cost_per_token_cache_hit" is not a kind of the first.
    const RateName* found = nullptr;
    for (const RateName& rate : kRates) {
      if (name.starts_with(rate.key) && (found == nullptr || rate.key.size() > found->key.size())) {
        found = &rate;
      }
    }
    if (found == nullptr) return;
    std::string_view suffix = name.substr(found->key.size());
    std::optional<std::int64_t> Rates::*rate = found->rate;
    if (rate == &Rates::write && suffix.starts_with(kHourSuffix)) {
      rate = &Rates::hour;  // the time that it is kept, not a size
      suffix.remove_prefix(kHourSuffix.size());
    }
    auto condition = condition_of(suffix);
    if (!condition) return;
    const bool is_at_least = row_.value("litellm_provider", json()) == "xai";
    if (is_at_least && condition->above_tokens > 0) --condition->above_tokens;
    if (const auto value = pusd(usd)) rates_[*condition].*rate = value;
  }

  // tiered_pricing: [{range: [0, 256000], input_cost_per_token, ...}].
  void read_ranges() {
    const auto ranges = row_.find("tiered_pricing");
    if (ranges == row_.end() || !ranges->is_array()) return;
    for (const json& entry : *ranges) {
      if (!entry.is_object()) continue;
      const auto range = entry.find("range");
      if (range == entry.end() || !range->is_array() || range->empty() ||
          !range->front().is_number()) {
        continue;
      }
      const double from = range->front().get<double>();
      if (!(from >= 0 && from <= 1e8)) continue;
      const Condition condition{"", static_cast<std::int64_t>(from)};
      for (const RateName& rate : kRates) {
        const auto value = entry.find(rate.key);
        if (value == entry.end() || !value->is_number()) continue;
        if (const auto pico = pusd(value->get<double>())) rates_[condition].*rate.rate = pico;
      }
    }
  }

  // A rate that is not given is the ground's; one that is given nowhere is the input's.
  static ModelPrice filled(const Rates& own, const Rates& ground) {
    const auto rate = [&](std::optional<std::int64_t> Rates::*which, std::int64_t otherwise) {
      return (own.*which).value_or((ground.*which).value_or(otherwise));
    };
    ModelPrice price;
    price.input_pusd = rate(&Rates::input, 0);
    price.output_pusd = rate(&Rates::output, 0);
    price.cached_input_pusd = rate(&Rates::cached, price.input_pusd);
    price.cache_write_input_pusd = rate(&Rates::write, price.input_pusd);
    price.cache_write_1h_input_pusd = rate(&Rates::hour, price.cache_write_input_pusd);
    return price;
  }

  // Those of a size, on which a tier of that size stands.
  Rates ground_of(const Condition& condition) const {
    Rates ground = rates_.at(Condition{});
    const auto sized = rates_.find(Condition{"", condition.above_tokens});
    if (condition.tier.empty() || sized == rates_.end()) return ground;
    for (const RateName& name : kRates) {
      if (sized->second.*name.rate) ground.*name.rate = sized->second.*name.rate;
    }
    if (sized->second.hour) ground.hour = sized->second.hour;
    return ground;
  }

  // off_peak_pricing: {"hours_utc": "16:30-00:30" or a list of them, and rates}.
  bool add_hours(Price& price) {
    const auto found = row_.find("off_peak_pricing");
    if (found == row_.end()) return true;
    if (!found->is_object() || found->contains("windows")) return false;
    std::string hours;
    const auto said = found->find("hours_utc");
    if (said == found->end()) return false;
    if (said->is_string()) hours = said->get<std::string>();
    if (said->is_array()) {
      for (const json& part : *said) {
        if (!part.is_string()) return false;
        hours += (hours.empty() ? "" : ", ") + part.get<std::string>();
      }
    }
    const auto canonical = canonical_hours(hours);
    if (!canonical) return false;
    Rates rates;
    for (const RateName& rate : kRates) {
      const auto value = found->find(rate.key);
      if (value == found->end() || !value->is_number()) continue;
      if (const auto pico = pusd(value->get<double>())) rates.*rate.rate = pico;
    }
    price.variants.push_back({"", 0, *canonical, filled(rates, rates_.at(Condition{}))});
    return true;
  }

  const std::string& key_;
  const json& row_;
  PriceFile& out_;
  std::map<Condition, Rates> rates_;
  std::string problem_;
};

}  // namespace

PriceFile parse_price_map(std::string_view text, const std::filesystem::path& file,
                          std::int64_t effective_at_ms) {
  const json map = json::parse(text, nullptr, false);
  if (!map.is_object()) {
    throw UsageError(fmt::format("{}: not a JSON object of models", file.string()));
  }
  PriceFile out;
  std::map<std::pair<std::string, std::string>, std::size_t> seen;
  for (const auto& [key, row] : map.items()) {
    if (key == "sample_spec" || !row.is_object() || !is_chat(row)) continue;
    const auto provider = row.find("litellm_provider");
    if (provider == row.end() || !provider->is_string() || key.empty()) continue;
    const std::string who = lower_ascii(provider->get<std::string>());
    const bool is_prefixed = key.starts_with(who + "/");
    const std::string model = is_prefixed ? key.substr(who.size() + 1) : key;
    std::optional<Price> price = Row(key, row, out).price();
    if (!price) continue;
    ListedPrice listed{{}, who, model, effective_at_ms, "import", file.filename().string(), *price};
    // A model stands there with and without its provider's name; the full name is the closer one.
    const auto [place, is_new] = seen.try_emplace({who, model}, out.prices.size());
    if (is_new) {
      out.prices.push_back(std::move(listed));
    } else if (is_prefixed) {
      out.prices[place->second] = std::move(listed);
    }
  }
  if (out.prices.empty()) {
    throw UsageError(fmt::format("{}: no price of a chat model is in it", file.string()));
  }
  return out;
}

}  // namespace docmill
