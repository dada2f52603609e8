#include "llm/price_book.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "base/text.h"

namespace docmill {
namespace {

// A provider may make up names without end.
constexpr std::size_t kMostOthers = 1000;

struct Vendor {
  std::string_view host;
  std::string_view name;  // as the LiteLLM price map names it
};
constexpr std::array<Vendor, 14> kVendors = {{{"api.openai.com", "openai"},
                                              {"api.anthropic.com", "anthropic"},
                                              {"generativelanguage.googleapis.com", "gemini"},
                                              {"api.deepseek.com", "deepseek"},
                                              {"openrouter.ai", "openrouter"},
                                              {"api.groq.com", "groq"},
                                              {"api.mistral.ai", "mistral"},
                                              {"api.x.ai", "xai"},
                                              {"api.together.xyz", "together_ai"},
                                              {"api.fireworks.ai", "fireworks_ai"},
                                              {"api.cerebras.ai", "cerebras"},
                                              {"api.perplexity.ai", "perplexity"},
                                              {"api.moonshot.ai", "moonshot"},
                                              {"dashscope-intl.aliyuncs.com", "dashscope"}}};

bool are_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "gpt-4.1-2025-04-14" and "claude-haiku-4-5-20251001" are dated, "gpt-4-32k" is not.
std::string undated(const std::string& name) {
  const std::size_t size = name.size();
  if (size > 9 && name[size - 9] == '-' && are_digits(name.substr(size - 8))) {
    return name.substr(0, size - 9);
  }
  if (size > 11 && name[size - 11] == '-' && name[size - 6] == '-' && name[size - 3] == '-' &&
      are_digits(name.substr(size - 10, 4)) && are_digits(name.substr(size - 5, 2)) &&
      are_digits(name.substr(size - 2))) {
    return name.substr(0, size - 11);
  }
  return name;
}

int origin_rank(const std::string& origin) {
  return origin == "set" ? 0 : origin == "import" ? 1 : 2;
}

bool is_of_config(const Model& model) {
  return model.price_origin.empty() || model.price_origin == "config";
}

}  // namespace

std::string vendor_of_host(const std::string& base_url) {
  const std::size_t start = base_url.find("://");
  if (start == std::string::npos) return {};
  const std::size_t end = base_url.find_first_of("/:", start + 3);
  const std::string host = lower_ascii(base_url.substr(start + 3, end - start - 3));
  for (const Vendor& vendor : kVendors) {
    if (host == vendor.host) return std::string(vendor.name);
  }
  return {};
}

std::string plain_model_name(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return undated(lower_ascii(slash == std::string::npos ? name : name.substr(slash + 1)));
}

std::optional<ListedPrice> listed_price(PriceList& list, const Provider& provider,
                                        const std::string& key, const std::string& name,
                                        std::int64_t now_ms) {
  std::vector<std::string> providers = {provider.name};
  const std::string vendor = vendor_of_host(provider.base_url);
  if (!vendor.empty() && vendor != provider.name) providers.push_back(vendor);
  std::optional<ListedPrice> best;
  for (const std::string& who : providers) {
    for (const std::string& what : {key, name, undated(name)}) {
      auto found = list.listed(who, what, now_ms);
      if (found && (!best || origin_rank(found->origin) < origin_rank(best->origin))) best = found;
    }
  }
  return best;
}

void fill_prices(PriceList& list, const Providers& providers, Models& models, std::int64_t now_ms) {
  for (auto& [key, model] : models) {
    if (model.price && is_of_config(model)) continue;
    const auto found = listed_price(list, providers.at(model.provider), key, model.name, now_ms);
    if (!found) continue;  // what came with the program stays
    model.price = found->price;
    model.price_origin = found->origin;
    model.price_source = found->source;
    model.price_since_ms = found->effective_at_ms;
  }
}

PriceBook::PriceBook(PriceList& list, const Providers& providers, const Models& models)
    : list_(list), providers_(providers), models_(models) {}

void PriceBook::refresh(std::int64_t now_ms) {
  asked_.clear();
  others_.clear();
  for (const auto& [key, model] : models_) {
    const Provider& provider = providers_.at(model.provider);
    if (model.price && is_of_config(model)) {
      asked_[key] = list_.record(
          {{}, provider.name, key, now_ms, "config", model.price_source, *model.price});
      continue;
    }
    if (model.price && model.price_origin == "snapshot") {
      list_.add({{},
                 provider.name,
                 key,
                 model.price_since_ms,
                 "snapshot",
                 model.price_source,
                 *model.price});
    }
    const auto found = listed_price(list_, provider, key, model.name, now_ms);
    if (found) asked_[key] = {found->id, found->price};
  }
  next_change_ms_ = list_.next_change_ms(now_ms).value_or(std::numeric_limits<std::int64_t>::max());
}

std::optional<PriceRow> PriceBook::asked(const std::string& key) const {
  const auto found = asked_.find(key);
  if (found == asked_.end()) return std::nullopt;
  return found->second;
}

std::optional<PriceRow> PriceBook::returned(const std::string& key,
                                            const std::string& model_returned,
                                            const std::optional<PriceRow>& asked_then,
                                            std::int64_t sent_at_ms) {
  const Model& model = models_.at(key);
  const bool is_asked =
      model_returned.empty() || plain_model_name(model_returned) == plain_model_name(model.name);
  if (is_asked) return asked_then;
  const auto known = others_.find({key, model_returned});
  if (known != others_.end()) return known->second;
  const auto price = other(model, model_returned, sent_at_ms);
  if (!price) return asked_then;
  if (others_.size() < kMostOthers) others_[{key, model_returned}] = *price;
  return price;
}

std::optional<PriceRow> PriceBook::other(const Model& asked_model,
                                         const std::string& model_returned, std::int64_t now_ms) {
  for (const auto& [key, model] : models_) {
    if (model.provider != asked_model.provider) continue;
    if (plain_model_name(model.name) != plain_model_name(model_returned)) continue;
    if (auto price = asked(key)) return price;
  }
  const auto found = listed_price(list_, providers_.at(asked_model.provider), model_returned,
                                  model_returned, now_ms);
  if (!found) return std::nullopt;
  return PriceRow{found->id, found->price};
}

}  // namespace docmill
