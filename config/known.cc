#include "config/known.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>

#include "base/clock.h"
#include "base/errors.h"
#include "base/money.h"
#include "config/base_url.h"
#include "config/known_list.h"
#include "llm/price_book.h"

namespace docmill {
namespace {

// A thousand times, with room for what prices differ by anyway.
constexpr double kDoubtFactor = 500;

bool is_set(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  return value != nullptr && *value != '\0';
}

Config read_list() {
  Config config = parse_config(kKnownList, "docmill's own list");
  for (auto& [key, model] : config.models) {
    model.price_origin = "snapshot";
    model.price_source = fmt::format("docmill's own list of {}", kKnownListDay);
    model.price_since_ms = parse_iso_time(kKnownListDay).value();
  }
  config.file.clear();
  return config;
}

const Config& whole_list() {
  static const Config list = read_list();
  return list;
}

bool is_off(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return false;
  const double factor = static_cast<double>(a) / static_cast<double>(b);
  return factor > kDoubtFactor || factor < 1 / kDoubtFactor;
}

bool is_far_off(const Price& price, const ListedPrice& known) {
  return is_off(price.base.input_pusd, known.price.base.input_pusd) ||
         is_off(price.base.output_pusd, known.price.base.output_pusd);
}

}  // namespace

Config known_config() {
  Config config = whole_list();
  std::erase_if(config.providers,
                [](const auto& provider) { return !is_set(provider.second.key_env); });
  std::erase_if(config.models, [&](const auto& model) {
    return !config.providers.contains(model.second.provider);
  });
  const auto openai = config.providers.find("openai");
  if (openai != config.providers.end() && is_set("OPENAI_BASE_URL")) {
    const CheckedUrl checked =
        check_base_url(std::getenv("OPENAI_BASE_URL"), PlainHttp::loopback_only);
    if (!checked.complaint.empty()) {
      throw UsageError(fmt::format("OPENAI_BASE_URL {}", checked.complaint));
    }
    openai->second.base_url = checked.url;
  }
  return config;
}

std::vector<std::string> known_key_variables() {
  std::vector<std::string> names;
  for (const auto& [name, provider] : whole_list().providers) names.push_back(provider.key_env);
  return names;
}

void fill_known_prices(Config& config) {
  const bool is_priced = std::all_of(config.models.begin(), config.models.end(),
                                     [](const auto& m) { return m.second.price.has_value(); });
  if (is_priced) return;
  const Config& known = whole_list();
  for (auto& [key, model] : config.models) {
    if (model.price) continue;
    const std::string vendor = vendor_of_host(config.providers.at(model.provider).base_url);
    auto found = known.models.find(vendor + "/" + model.name);
    if (found == known.models.end()) {
      found = known.models.find(vendor + "/" + plain_model_name(model.name));
    }
    if (found == known.models.end()) continue;
    model.price = found->second.price;
    model.price_origin = found->second.price_origin;
    model.price_source = found->second.price_source;
    model.price_since_ms = found->second.price_since_ms;
  }
}

std::vector<ListedPrice> known_prices(PriceList* list, const std::string& name,
                                      std::int64_t now_ms) {
  std::vector<ListedPrice> known;
  const std::string plain = plain_model_name(name);
  for (const auto& [key, model] : whole_list().models) {
    if (plain_model_name(model.name) != plain) continue;
    known.push_back({{},
                     model.provider,
                     model.name,
                     model.price_since_ms,
                     model.price_origin,
                     model.price_source,
                     *model.price});
  }
  if (list != nullptr) {
    std::vector<std::string> spellings = {name};
    if (plain != name) spellings.push_back(plain);
    for (const std::string& spelling : spellings) {
      std::vector<ListedPrice> more = list->known(spelling, now_ms);
      known.insert(known.end(), std::make_move_iterator(more.begin()),
                   std::make_move_iterator(more.end()));
    }
  }
  return known;
}

std::string price_doubt(const Price& price, const std::vector<ListedPrice>& known) {
  const auto near = std::find_if(known.begin(), known.end(), [&](const ListedPrice& listed) {
    return !is_far_off(price, listed);
  });
  if (known.empty() || near != known.end()) return {};
  const ListedPrice& listed = known.front();
  // The same integer is micro-USD per million tokens.
  const auto per_million = [](std::int64_t rate) { return exact_usd(rate * 1'000'000); };
  return fmt::format(
      "input {} and output {} per million tokens, where {} says {} and {}: prices are in USD per "
      "million tokens",
      per_million(price.base.input_pusd), per_million(price.base.output_pusd), listed.source,
      per_million(listed.price.base.input_pusd), per_million(listed.price.base.output_pusd));
}

}  // namespace docmill
