#include "worker/generation.h"

#include <algorithm>

namespace docmill {
namespace {

// Limits are per minute.
constexpr std::int64_t kLimitWindowMs = 60'000;

std::string origin_of(const std::string& base_url) {
  const std::size_t host = base_url.find("://");
  if (host == std::string::npos) return base_url;
  return base_url.substr(0, base_url.find('/', host + 3));
}

}  // namespace

Generation::Generation(JobQueue& queue, WorkerSetup wanted, const WorkerOptions& options,
                       std::int64_t now_ms)
    : setup(std::move(wanted)),
      prices(queue.prices(), setup.providers, setup.models),
      pieces(queue, setup.models, setup.tokenizer_folders) {
  for (const auto& [name, provider] : setup.providers) {
    provider_limits.emplace(name, Limits(name, provider.per_minute, provider.burst_seconds,
                                         provider.in_flight.value_or(kDefaultInFlight)));
  }
  const Breaker::Options breaker{options.breaker_failures, options.breaker_cooldown_ms};
  std::map<std::string, std::vector<SentRow>> sent_to;  // by provider
  for (const auto& [key, model] : setup.models) {
    const Provider& provider = setup.providers.at(model.provider);
    Breaker& host = hosts.try_emplace(origin_of(provider.base_url), breaker).first->second;
    auto lane = std::make_unique<Lane>(model, provider_limits.at(model.provider), host, breaker,
                                       provider.burst_seconds);
    if (!provider.in_flight && !model.in_flight) lane->begin_small();
    std::vector<SentRow> sent = queue.ledger().sent_since(key, now_ms - kLimitWindowMs);
    std::reverse(sent.begin(), sent.end());
    lane->begin(now_ms, sent);
    lanes.emplace(key, std::move(lane));
    std::vector<SentRow>& all = sent_to[model.provider];
    all.insert(all.end(), sent.begin(), sent.end());
  }
  for (auto& [name, limits] : provider_limits) {
    std::vector<SentRow>& all = sent_to[name];
    std::sort(all.begin(), all.end(),
              [](const SentRow& a, const SentRow& b) { return a.opened_at_ms < b.opened_at_ms; });
    limits.begin(now_ms, all);
  }
}

}  // namespace docmill
