#include "tasks/routing.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/money.h"
#include "base/text.h"
#include "documents/language.h"
#include "tasks/task.h"

namespace docmill {
namespace {

bool is_over(const std::optional<std::int64_t>& limit, std::int64_t count) {
  return !limit || count > *limit;
}

std::int64_t characters_of(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

bool fits(const Rule& rule, const std::string& text) {
  if (rule.over_tokens && !is_over(rule.over_tokens, estimated_tokens(text))) return false;
  if (rule.over_chars && !is_over(rule.over_chars, characters_of(text))) return false;
  if (!rule.languages.empty()) {
    const std::string language = language_of(text);
    const auto& wanted = rule.languages;
    if (std::find(wanted.begin(), wanted.end(), language) == wanted.end()) return false;
  }
  if (rule.matches.empty()) return true;
  const std::string lower = lower_ascii(text);
  return std::any_of(rule.matches.begin(), rule.matches.end(), [&](const std::string& word) {
    return lower.find(word) != std::string::npos;
  });
}

// An unpriced model may cost anything, so it goes last.
std::int64_t cost_on(const Model& model, const BatchSpec& spec, const std::string& text) {
  if (!model.price) return std::numeric_limits<std::int64_t>::max();
  const ChatRequest request = request_for(spec, model, text);
  const std::int64_t input = estimated_tokens(spec.system) + estimated_tokens(text);
  return ceiling_pusd(std::min(input, kMaxTokens), request.max_output_tokens, *model.price);
}

Chain cheapest_first(const Chain& chain, const BatchSpec& spec, const Models& models,
                     const std::string& text) {
  std::vector<std::pair<std::int64_t, Link>> priced;
  for (const Link& link : chain) {
    const auto model = models.find(link.model);
    if (model != models.end()) priced.emplace_back(cost_on(model->second, spec, text), link);
  }
  std::stable_sort(priced.begin(), priced.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Chain sorted;
  for (auto& [cost_pusd, link] : priced) sorted.push_back(std::move(link));
  return sorted;
}

int index_of(BatchSpec& spec, Route route) {
  const auto same = std::find(spec.routes.begin(), spec.routes.end(), route);
  if (same != spec.routes.end()) return static_cast<int>(same - spec.routes.begin());
  spec.routes.push_back(std::move(route));
  return static_cast<int>(spec.routes.size()) - 1;
}

}  // namespace

int route_index(const BatchSpec& spec, const std::string& name) {
  for (std::size_t i = 0; i < spec.routes.size(); ++i) {
    if (spec.routes[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

int choose_route(BatchSpec& spec, int route, bool rules_apply, const RoutePolicy& policy,
                 const Models& models, const std::string& text) {
  for (const Rule& rule : policy.rules) {
    if (!rules_apply || !fits(rule, text)) continue;
    const int named = route_index(spec, rule.route);
    if (named >= 0) route = named;  // else --regions has left nothing of it
    break;
  }
  if (!policy.cheapest_first) return route;
  const Route base = spec.routes[static_cast<std::size_t>(route)];
  Route sorted{base.name, cheapest_first(base.chain, spec, models, text)};
  return index_of(spec, std::move(sorted));
}

int own_route(BatchSpec& spec, const Providers& providers, const Models& models,
              const std::string& body, std::string& problem) {
  const std::string named = model_in_body(body);
  if (named.empty()) return 0;
  const Chain usual = spec.routes.front().chain;
  const auto names_it = [&](const Link& link) {  // an older batch's chain may have others
    const auto model = models.find(link.model);
    return model != models.end() && is_model(model->second, named);
  };
  const auto in_chain = std::find_if(usual.begin(), usual.end(), names_it);
  const auto in_config = std::find_if(models.begin(), models.end(), [&](const auto& model) {
    return is_model(model.second, named);
  });
  if (in_chain == usual.end() && in_config == models.end()) {
    problem = fmt::format("the config has no model \"{}\"; --models A,B sends it to others", named);
    return -1;
  }
  const Link own = in_chain != usual.end() ? *in_chain : Link(in_config->first);
  if (providers.at(models.at(own.model).provider).dialect != Dialect::openai) {
    problem = fmt::format("requests are in OpenAI's dialect, and {} is not asked in it", named);
    return -1;
  }
  if (within_regions({own}, spec.regions, providers, models).empty()) {
    problem = fmt::format("its model {} is outside of --regions", named);
    return -1;
  }
  Chain chain = {own};
  for (const Link& link : usual) {
    if (link.model != own.model) chain.push_back(link);
  }
  return index_of(spec, {spec.routes.front().name, std::move(chain)});
}

Chain within_regions(const Chain& chain, const std::vector<std::string>& regions,
                     const Providers& providers, const Models& models) {
  if (regions.empty()) return chain;
  Chain within;
  for (const Link& link : chain) {
    const std::string& region = providers.at(models.at(link.model).provider).region;
    if (std::find(regions.begin(), regions.end(), region) != regions.end()) within.push_back(link);
  }
  return within;
}

}  // namespace docmill
