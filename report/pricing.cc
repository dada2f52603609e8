#include "report/pricing.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/errors.h"
#include "base/text.h"
#include "config/known.h"
#include "llm/price_book.h"

namespace docmill {
namespace {

// Of several providers' prices, the vendor's own before a reseller's; a hand-set one before all.
std::optional<Price> best_of(const std::vector<ListedPrice>& known, const std::string& vendor) {
  const ListedPrice* best = nullptr;
  const auto rank = [&](const ListedPrice& listed) {
    return (listed.provider == vendor ? 0 : 10) + (listed.origin == "set"      ? 0
                                                   : listed.origin == "import" ? 1
                                                                               : 2);
  };
  for (const ListedPrice& listed : known) {
    if (best == nullptr || rank(listed) < rank(*best)) best = &listed;
  }
  return best == nullptr ? std::nullopt : std::optional(best->price);
}

}  // namespace

WhatIf what_if_on(const std::string& model, const Config& config, PriceList* list,
                  std::int64_t now_ms) {
  const auto configured = config.models.find(model);
  if (configured != config.models.end() && configured->second.price) {
    return {model, *configured->second.price};
  }
  const std::size_t slash = model.find('/');
  const std::string vendor = slash == std::string::npos ? "" : model.substr(0, slash);
  const std::string name = slash == std::string::npos ? model : model.substr(slash + 1);
  std::vector<ListedPrice> known = known_prices(list, name, now_ms);
  if (!vendor.empty()) {
    std::erase_if(known, [&](const ListedPrice& listed) { return listed.provider != vendor; });
  }
  if (const auto price = best_of(known, vendor)) return {model, *price};
  std::vector<std::string> keys;
  for (const auto& [key, priced] : config.models) {
    if (priced.price) keys.push_back(key);
  }
  const auto near = nearest(model, keys);
  throw UsageError(fmt::format(
      "--if-model: no price is known for \"{}\"; {}", printable_line(model),
      near ? fmt::format("did you mean \"{}\"?", *near) : "docmill prices list shows those"));
}

UsageSource::PriceOf price_of_records(const UsageFile& file, const Config& config, PriceList* list,
                                      std::int64_t now_ms) {
  const std::string vendor = file.is_openai ? "openai" : "";
  return [=, &config, found = std::map<std::string, std::optional<Price>>()](
             const UsageRecord& record) mutable -> std::optional<Price> {
    const auto before = found.find(record.model);
    if (before != found.end()) return before->second;
    std::optional<Price> price;
    for (const auto& [key, model] : config.models) {
      const bool is_it =
          key == record.model || plain_model_name(model.name) == plain_model_name(record.model);
      if (is_it && model.price && (!price || key == record.model)) price = model.price;
    }
    if (!price) price = best_of(known_prices(list, record.model, now_ms), vendor);
    return found[record.model] = price;
  };
}

std::function<std::optional<std::int64_t>(const CountedAttempt&)> reprice_by(const PriceFile& file,
                                                                             const Config& config) {
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::vector<ListedPrice>> by_model;
  for (const ListedPrice& listed : file.prices) {
    by_model[{listed.provider, listed.model}].push_back(listed);
  }
  return [by_model, &config](const CountedAttempt& attempt) -> std::optional<std::int64_t> {
    std::vector<std::string> providers = {attempt.provider};
    const auto provider = config.providers.find(attempt.provider);
    if (provider != config.providers.end()) {
      providers.push_back(vendor_of_host(provider->second.base_url));
    }
    std::vector<std::string> names = {attempt.model_returned,
                                      plain_model_name(attempt.model_returned), attempt.model};
    const auto model = config.models.find(attempt.model);
    if (model != config.models.end()) names.push_back(model->second.name);
    for (const std::string& name : names) {
      for (const std::string& who : providers) {
        const auto found = by_model.find({who, name});
        if (name.empty() || found == by_model.end()) continue;
        const ListedPrice* in_force = nullptr;
        for (const ListedPrice& listed : found->second) {
          const bool is_later =
              in_force == nullptr || listed.effective_at_ms >= in_force->effective_at_ms;
          if (listed.effective_at_ms <= attempt.opened_at_ms && is_later) in_force = &listed;
        }
        if (in_force == nullptr) continue;
        return cost_pusd(*attempt.usage, in_force->price, attempt.service_tier,
                         attempt.opened_at_ms);
      }
    }
    return std::nullopt;
  };
}

}  // namespace docmill
