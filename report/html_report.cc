#include "report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

constexpr std::size_t kDearest = 10;
constexpr std::size_t kExamples = 3;
constexpr std::size_t kMostPoints = 4096;  // of cost over time; beyond, they are taken together

// Cost over time in buckets that grow with the time covered.
class CostOverTime {
 public:
  void add(std::int64_t at_ms, std::int64_t pusd) {
    buckets_[at_ms / bucket_ms_] += pusd;
    while (buckets_.size() > kMostPoints) widen();
  }
  std::vector<CostPoint> points() const {
    std::vector<CostPoint> points;
    std::int64_t total_pusd = 0;
    for (const auto& [bucket, pusd] : buckets_) {
      if (points.empty()) points.push_back({bucket * bucket_ms_, 0});
      total_pusd += pusd;
      points.push_back({(bucket + 1) * bucket_ms_, total_pusd});
    }
    return points;
  }

 private:
  void widen() {
    std::map<std::int64_t, std::int64_t> wider;
    for (const auto& [bucket, pusd] : buckets_) wider[bucket / 2] += pusd;
    buckets_ = std::move(wider);
    bucket_ms_ *= 2;
  }
  std::map<std::int64_t, std::int64_t> buckets_;
  std::int64_t bucket_ms_ = 1000;
};

PageFigures page_figures(const Figures& f) {
  PageFigures page;
  page.documents = f.jobs;
  page.done = f.done;
  page.failed = f.failed;
  page.requests = f.requests;
  page.retries = f.retries;
  page.fallbacks = f.fallbacks;
  page.fallback_rate = fallback_rate(f);
  page.input_tokens = f.tokens.input_tokens();
  page.cached_tokens = f.tokens.cached_tokens;
  page.output_tokens = f.tokens.output_tokens;
  page.cost_pusd = f.cost_pusd;
  page.possible_pusd = f.possible_pusd;
  page.unknown_requests = f.unknown_requests;
  page.unpriced_requests = f.unpriced_requests;
  page.average_pusd = average_pusd(f);
  page.p50_ms = f.latencies.percentile(50);
  page.p95_ms = f.latencies.percentile(95);
  page.p99_ms = f.latencies.percentile(99);
  return page;
}

// 1, 2, 5, 10, 20, 50 ... ms: as wide for the slow as for the fast, by eye.
std::vector<LatencyBar> latency_bars(const Latencies& latencies) {
  std::vector<LatencyBar> bars;
  std::int64_t from_ms = 0;
  for (std::int64_t decade = 1; decade < 10'000'000'000; decade *= 10) {
    for (const std::int64_t step : {1, 2, 5}) {
      bars.push_back({from_ms, decade * step, 0});
      from_ms = decade * step;
    }
  }
  for (const auto& [ms, count] : latencies.counts()) {
    const auto bar = std::upper_bound(
        bars.begin(), bars.end(), ms,
        [](std::int64_t value, const LatencyBar& one) { return value < one.until_ms; });
    if (bar != bars.end()) bar->answers += count;
  }
  const auto has = [](const LatencyBar& bar) { return bar.answers > 0; };
  const auto first = std::find_if(bars.begin(), bars.end(), has);
  const auto last = std::find_if(bars.rbegin(), bars.rend(), has).base();
  return first == bars.end() ? std::vector<LatencyBar>() : std::vector<LatencyBar>(first, last);
}

std::string rates_text(const ModelPrice& rates) {
  const auto per_million = [](std::int64_t rate) { return exact_usd(rate * 1'000'000); };
  return fmt::format("input {}, cached {}, cache write {}, output {}",
                     per_million(rates.input_pusd), per_million(rates.cached_input_pusd),
                     per_million(rates.cache_write_input_pusd), per_million(rates.output_pusd));
}

std::vector<NamedCount> counts_of(const std::map<std::string, std::int64_t>& counts) {
  std::vector<NamedCount> list;
  for (const auto& [name, count] : counts) list.push_back({name, count});
  return list;
}

class PageMaking {
 public:
  explicit PageMaking(const PageWish& wish) : wish_(wish) {
    what_if_pusd_.resize(wish.what_ifs.size());
  }

  void add(const JobRow& job, const std::vector<AttemptRow>& attempts) {
    if (wish_.range.has(job.at_ms) && !job.is_superseded) add_job(job);
    DearDocument document{job.batch, job.item_key, job.model, 0, 0, 0, 0};
    const AttemptRow* before = nullptr;
    for (const AttemptRow& attempt : attempts) {
      if (wish_.range.has(attempt.opened_at_ms)) add_attempt(attempt, before, document);
      before = &attempt;
    }
    if (document.cost_pusd > 0) consider(std::move(document));
  }

  ReportPage page(PriceList& prices) const {
    ReportPage page;
    page.totals = page_figures(totals_);
    for (const auto& [model, figures] : models_)
      page.models.push_back({model, page_figures(figures)});
    for (const auto& [key, pusd] : days_) page.days.push_back({key.first, key.second, pusd});
    page.cumulative = cost_.points();
    page.latencies = latency_bars(totals_.latencies);
    page.errors = counts_of(errors_);
    page.fallbacks = counts_of(fallbacks_);
    page.dearest = dearest_;
    for (const auto& [error_class, kind] : failures_) page.failures.push_back(kind);
    std::stable_sort(
        page.failures.begin(), page.failures.end(),
        [](const FailureKind& a, const FailureKind& b) { return a.documents > b.documents; });
    for (const PriceId id : prices_) {
      const auto row = prices.row(id);
      if (!row) continue;
      page.prices.push_back({row->provider, row->model, iso_time(row->effective_at_ms), row->source,
                             rates_text(row->price.base)});
    }
    if (first_ms_ != 0) {
      page.covers = fmt::format("{} to {} UTC", short_time(first_ms_), short_time(last_ms_));
    }
    return page;
  }

  const Figures& totals() const { return totals_; }
  std::int64_t span_ms() const { return last_ms_ - first_ms_; }
  const std::vector<std::int64_t>& what_if_pusd() const { return what_if_pusd_; }

 private:
  void add_job(const JobRow& job) {
    count_job(totals_, job);
    count_job(models_[job.model.empty() ? "none" : job.model], job);
    if (job.state != "failed" && job.state != "held") return;
    FailureKind& kind = failures_[job.error_class];
    kind.error_class = job.error_class;
    ++kind.documents;
    if (kind.examples.size() < kExamples) {
      kind.examples.push_back(fmt::format("{}: {}", job.item_key, job.error_message));
    }
  }

  void add_attempt(const AttemptRow& attempt, const AttemptRow* before, DearDocument& document) {
    count_attempt(totals_, attempt);
    count_attempt(models_[attempt.model], attempt);
    const std::int64_t cost_pusd = attempt.cost_pusd.value_or(0);
    if (cost_pusd > 0) days_[{iso_day(attempt.opened_at_ms), attempt.model}] += cost_pusd;
    cost_.add(attempt.opened_at_ms, cost_pusd);
    if (first_ms_ == 0 || attempt.opened_at_ms < first_ms_) first_ms_ = attempt.opened_at_ms;
    last_ms_ = std::max(last_ms_, attempt.opened_at_ms);
    if (!attempt.is_open && attempt.outcome != "answered") ++errors_[attempt.outcome];
    if (attempt.kind == "fallback" && before != nullptr) {
      ++fallbacks_[fmt::format("{} to {}", before->model, attempt.model)];
    }
    if (attempt.price) prices_.insert(*attempt.price);
    ++document.requests;
    document.cost_pusd += cost_pusd;
    if (!attempt.usage) return;
    document.input_tokens += attempt.usage->input_tokens();
    document.output_tokens += attempt.usage->output_tokens;
    for (std::size_t i = 0; i < wish_.what_ifs.size(); ++i) {
      what_if_pusd_[i] +=
          docmill::cost_pusd(*attempt.usage, wish_.what_ifs[i].price, "", attempt.opened_at_ms)
              .value_or(0);
    }
  }

  void consider(DearDocument document) {
    const auto place = std::upper_bound(
        dearest_.begin(), dearest_.end(), document,
        [](const DearDocument& a, const DearDocument& b) { return a.cost_pusd > b.cost_pusd; });
    if (dearest_.size() == kDearest && place == dearest_.end()) return;
    dearest_.insert(place, std::move(document));
    if (dearest_.size() > kDearest) dearest_.pop_back();
  }

  struct ById {
    bool operator()(PriceId a, PriceId b) const { return a.value < b.value; }
  };
  const PageWish& wish_;
  Figures totals_;
  std::map<std::string, Figures> models_;
  std::map<std::pair<std::string, std::string>, std::int64_t> days_;
  CostOverTime cost_;
  std::map<std::string, std::int64_t> errors_, fallbacks_;
  std::map<std::string, FailureKind> failures_;
  std::vector<DearDocument> dearest_;  // dearest first
  std::set<PriceId, ById> prices_;
  std::vector<std::int64_t> what_if_pusd_;
  std::int64_t first_ms_ = 0;
  std::int64_t last_ms_ = 0;
};

std::string title_of(const std::vector<std::string>& batches) {
  if (batches.size() == 1) return batches.front();
  return fmt::format("{} batches", with_commas(static_cast<std::int64_t>(batches.size())));
}

}  // namespace

ReportPage make_page(ReportSource& source, PriceList& prices, const PageWish& wish) {
  PageMaking making(wish);
  source.each_document([&](const JobRow& job, const std::vector<AttemptRow>& attempts) {
    making.add(job, attempts);
  });
  ReportPage page = making.page(prices);
  page.title = title_of(wish.batches);
  page.made_at = iso_time(wish.now_ms);
  page.version = DOCMILL_VERSION;
  page.command = wish.command;
  page.cap_pusd = wish.cap_pusd;
  page.currency = wish.currency;
  const CostPace pace{making.totals().done, making.span_ms(), wish.range, wish.documents_per_month};
  for (std::size_t i = 0; i < wish.what_ifs.size(); ++i) {
    page.what_ifs.push_back(what_if_line(wish.what_ifs[i].model, making.what_if_pusd()[i], pace));
  }
  return page;
}

}  // namespace docmill
