#include "llm/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/money.h"

namespace docmill {
namespace {

using nlohmann::json;

// A count, 0 when it is absent or null, nothing when it is no count.
std::optional<std::int64_t> count_at(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return 0;
  // Some gateways send whole numbers as 12.0.
  if (it->is_number_float()) {
    const double value = it->get<double>();
    if (!(value >= 0 && value <= static_cast<double>(kMaxTokens))) return std::nullopt;
    const auto whole = static_cast<std::int64_t>(value);
    if (static_cast<double>(whole) != value) return std::nullopt;
    return whole;
  }
  if (!it->is_number_integer()) return std::nullopt;
  if (it->is_number_unsigned() && it->get<std::uint64_t>() > std::uint64_t{kMaxTokens}) {
    return std::nullopt;
  }
  const auto value = it->get<std::int64_t>();
  if (value < 0 || value > kMaxTokens) return std::nullopt;
  return value;
}

std::optional<std::int64_t> nested_count(const json& object, const char* outer, const char* key) {
  const auto it = object.find(outer);
  if (it == object.end() || !it->is_object()) return 0;
  return count_at(*it, key);
}

bool has_count(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number();
}

// Gemini's thoughts are billed as output, and its compatible API leaves them out of
// completion_tokens; the total has them.
bool hides_thoughts(const Provider& provider) {
  return provider.base_url.find("//generativelanguage.googleapis.com") != std::string::npos ||
         provider.base_url.find("aiplatform.googleapis.com") != std::string::npos;
}

// prompt_tokens includes what was cached; DeepSeek names the same number twice, so aliases are
// never added: the first that is there counts.
std::optional<Usage> openai_usage(const json& usage, const Provider& provider) {
  if (!has_count(usage, "prompt_tokens") || !has_count(usage, "completion_tokens")) {
    return std::nullopt;
  }
  const auto prompt = count_at(usage, "prompt_tokens");
  auto completion = count_at(usage, "completion_tokens");
  std::int64_t thoughts = 0;
  if (hides_thoughts(provider) && prompt && completion) {
    const auto total = count_at(usage, "total_tokens");
    if (!total) return std::nullopt;
    thoughts = std::max<std::int64_t>(0, *total - *prompt - *completion);
    *completion += thoughts;
  }
  auto cached = nested_count(usage, "prompt_tokens_details", "cached_tokens");
  if (cached == 0) cached = count_at(usage, "prompt_cache_hit_tokens");
  const auto written = nested_count(usage, "prompt_tokens_details", "cache_write_tokens");
  const auto reasoning = nested_count(usage, "completion_tokens_details", "reasoning_tokens");
  if (!prompt || !completion || !cached || !written || !reasoning) return std::nullopt;
  if (*cached + *written > *prompt) return std::nullopt;
  return Usage{*prompt - *cached - *written, *cached, *written, *completion,
               std::min(std::max(*reasoning, thoughts), *completion)};
}

// input_tokens excludes what was read from or written to the cache.
std::optional<Usage> anthropic_usage(const json& usage) {
  if (!has_count(usage, "input_tokens") || !has_count(usage, "output_tokens")) return std::nullopt;
  const auto input = count_at(usage, "input_tokens");
  const auto output = count_at(usage, "output_tokens");
  const auto cached = count_at(usage, "cache_read_input_tokens");
  const auto written = count_at(usage, "cache_creation_input_tokens");
  const auto reasoning = nested_count(usage, "output_tokens_details", "thinking_tokens");
  const auto hour = nested_count(usage, "cache_creation", "ephemeral_1h_input_tokens");
  if (!input || !output || !cached || !written || !reasoning || !hour) return std::nullopt;
  if (*hour > *written) return std::nullopt;
  return Usage{*input, *cached, *written, *output, std::min(*reasoning, *output), *hour};
}

// An amount in USD, to the nearest pico-USD. Nothing for what is no amount or would not fit.
std::optional<std::int64_t> amount_at(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  const double usd = it->get<double>();
  if (!(usd >= 0 && usd < 1e6)) return std::nullopt;
  return parse_usd(fmt::format("{:.12f}", usd));
}

}  // namespace

std::optional<Usage> read_usage(const json& body, const Provider& provider) {
  const auto it = body.find("usage");
  if (it == body.end() || !it->is_object()) return std::nullopt;
  return provider.dialect == Dialect::openai ? openai_usage(*it, provider) : anthropic_usage(*it);
}

std::optional<std::int64_t> read_reported_pusd(const json& body) {
  const auto usage = body.find("usage");
  if (usage == body.end() || !usage->is_object()) return std::nullopt;
  const auto cost_pusd = amount_at(*usage, "cost");
  const auto byok = usage->find("is_byok");
  const auto details = usage->find("cost_details");
  const bool is_upstream_ours = byok != usage->end() && byok->is_boolean() && byok->get<bool>();
  if (!cost_pusd || !is_upstream_ours) return cost_pusd;
  if (details == usage->end() || !details->is_object()) return std::nullopt;
  const auto upstream_pusd = amount_at(*details, "upstream_inference_cost");
  if (!upstream_pusd) return std::nullopt;
  return *cost_pusd + *upstream_pusd;
}

}  // namespace docmill
