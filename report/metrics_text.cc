#include "report/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>

#include "base/money.h"

namespace docmill {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr double kPusdPerUsd = 1e12;

class Page {
 public:
  void begin(const std::string& name, const std::string& help, MetricType type) {
    families_.push_back({"docmill_" + name, help, type, {}});
  }
  void counter(Labels labels, double value) {
    ClientMetric& metric = add(std::move(labels));
    metric.counter.value = value;
  }
  void gauge(Labels labels, double value) {
    ClientMetric& metric = add(std::move(labels));
    metric.gauge.value = value;
  }
  void histogram(Labels labels, const Histogram& from) {
    prometheus::ClientMetric::Histogram& to = add(std::move(labels)).histogram;
    std::int64_t below = 0;
    for (std::size_t i = 0; i < from.bounds.size(); ++i) {
      below += from.counts[i];
      to.bucket.push_back({static_cast<std::uint64_t>(below), from.bounds[i]});
    }
    to.sample_count = static_cast<std::uint64_t>(from.count);
    to.sample_sum = from.sum;
  }
  void single(const std::string& name, const std::string& help, double value) {
    begin(name, help, MetricType::Gauge);
    gauge({}, value);
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& add(Labels labels) {
    families_.back().metric.emplace_back().label = std::move(labels);
    return families_.back().metric.back();
  }
  std::vector<MetricFamily> families_;
};

double number(std::int64_t value) {
  return static_cast<double>(value);
}

double usd(std::int64_t pusd) {
  return number(pusd) / kPusdPerUsd;
}

void put_models(Page& page, const WorkerMetrics& worker) {
  page.begin("requests_total", "Requests that ended, by outcome.", MetricType::Counter);
  for (const auto& [model, counts] : worker.models) {
    for (const auto& [outcome, requests] : counts.requests) {
      page.counter({{"model", model}, {"outcome", outcome}}, number(requests));
    }
  }
  page.begin("request_seconds", "From sending to the last byte.", MetricType::Histogram);
  for (const auto& [model, counts] : worker.models) {
    page.histogram({{"model", model}}, counts.seconds);
  }
  page.begin("tokens_total", "Tokens as providers reported them.", MetricType::Counter);
  for (const auto& [model, counts] : worker.models) {
    const Usage& usage = counts.usage;
    const std::pair<const char*, std::int64_t> kinds[] = {
        {"input", usage.fresh_tokens},
        {"cached_input", usage.cached_tokens},
        {"cache_write_input", usage.cache_write_tokens},
        {"output", usage.output_tokens}};
    for (const auto& [kind, tokens] : kinds) {
      page.counter({{"model", model}, {"kind", kind}}, number(tokens));
    }
  }
  page.begin("cost_usd_total", "What requests have cost, where that is known.",
             MetricType::Counter);
  for (const auto& [model, counts] : worker.models) {
    page.counter({{"model", model}}, usd(counts.cost_pusd));
  }
}

void put_worker(Page& page, const MetricsPage& of) {
  const WorkerMetrics& worker = of.worker;
  page.begin("build_info", "1, with the version.", MetricType::Gauge);
  page.gauge({{"version", DOCMILL_VERSION}}, 1);
  page.single("start_time_seconds", "When this worker began.", number(of.started_ms) / 1000);
  page.single("in_flight", "Requests open now.", worker.in_flight);
  page.single("in_flight_limit", "Requests that may be open at once.", worker.in_flight_limit);
  page.single("stopping", "1 while the worker keeps what is in flight and starts nothing.",
              worker.is_stopping ? 1 : 0);
  page.begin("turn_seconds", "The worker's turns, their commit included.", MetricType::Histogram);
  page.histogram({}, worker.turn_seconds);
  page.begin("paused", "1 for each provider and model that waits for a person or a probe.",
             MetricType::Gauge);
  for (const std::string& name : worker.paused) page.gauge({{"name", name}}, 1);
  page.begin("cap_usd", "Caps of the config.", MetricType::Gauge);
  for (const Caps::Use& cap : worker.caps) {
    page.gauge({{"tenant", cap.tenant}, {"period", cap.is_monthly ? "month" : "day"}},
               usd(cap.cap_pusd));
  }
  page.begin("cap_used_usd", "Spent, or may still cost, in the period of that cap.",
             MetricType::Gauge);
  for (const Caps::Use& cap : worker.caps) {
    page.gauge({{"tenant", cap.tenant}, {"period", cap.is_monthly ? "month" : "day"}},
               usd(cap.used_pusd));
  }
}

void put_queue(Page& page, const MetricsPage& of) {
  const JobCounts& documents = of.queue.documents;
  page.begin("documents", "Documents of batches that have not ended, by state.", MetricType::Gauge);
  const std::pair<const char*, std::int64_t> states[] = {
      {"queued", documents.queued()}, {"running", documents.running},
      {"held", documents.held},       {"done", documents.done},
      {"failed", documents.failed},   {"cancelled", documents.cancelled}};
  for (const auto& [state, count] : states) page.gauge({{"state", state}}, number(count));
  const std::int64_t age_ms = of.queue.oldest_ms ? of.now_ms - *of.queue.oldest_ms : 0;
  page.single("oldest_queued_seconds", "Since the oldest queued document was submitted.",
              number(age_ms) / 1000);
  page.begin("batches", "Batches that have not ended.", MetricType::Gauge);
  page.gauge({{"state", "open"}}, number(of.queue.open_batches));
  page.gauge({{"state", "held"}}, number(of.queue.held_batches));
  page.gauge({{"state", "paused"}}, number(of.queue.paused_batches));
  page.single("unknown_requests", "Requests whose outcome is unknown: they may have been billed.",
              number(of.queue.unknown_attempts));
  page.single("possible_usd", "What those may have cost at most.", usd(of.queue.possible_pusd));
  page.single("store_bytes", "The store's file.", number(of.store_bytes));
  page.single("wal_bytes", "What its write-ahead log holds.", number(of.wal_bytes));
  page.single("disk_free_bytes", "Free on the store's disk.", number(of.free_disk_bytes));
}

}  // namespace

std::string metrics_text(const MetricsPage& of) {
  Page page;
  put_worker(page, of);
  put_models(page, of.worker);
  put_queue(page, of);
  return page.text();
}

}  // namespace docmill
