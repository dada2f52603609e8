#include "llm/usage.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/money.h"

namespace docmill {
namespace {

// A count, 0 when it is absent or null, nothing when it is no count.
std::optional<std::int64_t> count_at(JsonView object, const char* key) {
  const auto value = member(object, key);
  if (!value || value->is_null()) return 0;
  std::uint64_t count = 0;
  if (value->is_double()) {  // some gateways send whole numbers as 12.0
    const double given{*value};
    if (!(given >= 0 && given <= static_cast<double>(kMaxTokens))) return std::nullopt;
    count = static_cast<std::uint64_t>(given);
    if (static_cast<double>(count) != given) return std::nullopt;
  } else if (value->get(count) != simdjson::SUCCESS || count > std::uint64_t{kMaxTokens}) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(count);
}

std::optional<std::int64_t> nested_count(JsonView object, const char* outer, const char* key) {
  const auto inner = object_at(object, outer);
  return inner ? count_at(*inner, key) : 0;
}

bool has_count(JsonView object, const char* key) {
  const auto value = member(object, key);
  return value && value->is_number();
}

// Gemini's thoughts are billed as output, and its compatible API leaves them out of
// completion_tokens; the total has them.
bool hides_thoughts(const Provider& provider) {
  return provider.base_url.find("//generativelanguage.googleapis.com") != std::string::npos ||
         provider.base_url.find("aiplatform.googleapis.com") != std::string::npos;
}

// prompt_tokens includes what was cached; DeepSeek names the same number twice, so aliases are
// never added: the first that is there counts.
std::optional<Usage> openai_usage(JsonView usage, const Provider& provider) {
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
std::optional<Usage> anthropic_usage(JsonView usage) {
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
std::optional<std::int64_t> amount_at(JsonView object, const char* key) {
  const auto value = member(object, key);
  double usd = 0;
  if (!value || value->get(usd) != simdjson::SUCCESS || !(usd >= 0 && usd < 1e6)) {
    return std::nullopt;
  }
  return parse_usd(fmt::format("{:.12f}", usd));
}

}  // namespace

std::optional<Usage> read_usage(JsonView usage, const Provider& provider) {
  if (!usage.is_object()) return std::nullopt;
  return provider.dialect == Dialect::openai ? openai_usage(usage, provider)
                                             : anthropic_usage(usage);
}

std::optional<std::int64_t> read_reported_pusd(JsonView usage) {
  const auto cost_pusd = amount_at(usage, "cost");
  const auto byok = member(usage, "is_byok");
  const bool is_upstream_ours = byok && byok->is_bool() && bool{*byok};
  if (!cost_pusd || !is_upstream_ours) return cost_pusd;
  const auto details = object_at(usage, "cost_details");
  const auto upstream_pusd =
      details ? amount_at(*details, "upstream_inference_cost") : std::nullopt;
  if (!upstream_pusd) return std::nullopt;
  return *cost_pusd + *upstream_pusd;
}

}  // namespace docmill
