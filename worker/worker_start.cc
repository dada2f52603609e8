// The half of the turn that starts requests: which job, on which model of its chain, and whether
// the lane and the cap allow it.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/money.h"
#include "tasks/task.h"
#include "worker/worker.h"

namespace docmill {

void Worker::start_due_jobs() {
  waits_.clear();
  has_more_ = false;
  connecting_ = nullptr;
  capped_.clear();
  busy_.clear();
  next_start_ms_ = next_unaided_start_ms_ = kNeverMs;
  if (stop_deadline_ms_) return;
  agenda_.begin_turn();
  for (;;) {
    const int slots = in_flight_limit_ - static_cast<int>(flights_.size());
    if (slots <= 0) break;
    Feed* feed = agenda_.next(queue_.jobs(), slots);
    if (feed == nullptr) {
      hold_at_caps();
      break;
    }
    if (start_head(*feed) != Start::blocked) agenda_.took(*feed);
  }
  for (const BatchId batch : queue_.finish_ended()) {
    log_info("batch={} finished", queue_.jobs().batch(batch).name);
    must_look_ = true;
  }
  if (const auto due_ms = queue_.jobs().next_due(options_.only_batch)) {
    next_start_ms_ = std::min(next_start_ms_, *due_ms);
    next_unaided_start_ms_ = std::min(next_unaided_start_ms_, *due_ms);
  }
}

// A model that is out of order is passed over while the chain goes on; a busy one is waited for.
Worker::Start Worker::start_head(Feed& feed) {
  const Route& route = feed.batch->spec->routes[static_cast<std::size_t>(feed.route)];
  std::optional<Refusal> first;
  for (auto position = static_cast<std::size_t>(feed.position); position < route.chain.size();
       ++position) {
    const auto lane = lanes_.find(route.chain[position]);
    std::optional<Refusal> refusal;
    if (lane == lanes_.end()) {
      refusal = Refusal{fmt::format("{} is not in the worker's config", route.chain[position]),
                        kNeverMs, true, true};
    } else {
      refusal = lane->second->refusal(clock_.now_ms());
      const Provider& provider = setup_.providers.at(lane->second->model().provider);
      const bool is_first_away = provider_limits_.at(provider.name).flying > 0;
      if (!refusal && is_first_away && !transport_.has_connected(provider)) {
        refusal =
            Refusal{fmt::format("the first connection to {}", provider.name), 0, false, false};
        connecting_ = &provider;
      }
    }
    if (!refusal) {
      return start_on(feed, feed.jobs[feed.next], static_cast<int>(position), *lane->second);
    }
    if (!first) first = refusal;
    if (!refusal->is_out_of_order) return block(feed, *refusal);
    // Its end is a reason to look again, even if another model is waited for.
    wake_for(*refusal);
  }
  return block(feed, *first);
}

Worker::Start Worker::block(Feed& feed, const Refusal& refusal) {
  feed.is_blocked = true;
  busy_.insert(feed.batch->row.id);
  Wait& wait = waits_[feed.batch->row.name];
  wait.reason = refusal.reason;
  wait.until_ms = refusal.until_ms == kNeverMs ? 0 : refusal.until_ms;
  wake_for(refusal);
  return Start::blocked;
}

void Worker::wake_for(const Refusal& refusal) {
  if (refusal.until_ms == 0) return;  // a reply will wake us
  next_start_ms_ = std::min(next_start_ms_, refusal.until_ms);
  if (!refusal.needs_person) {
    next_unaided_start_ms_ = std::min(next_unaided_start_ms_, refusal.until_ms);
  }
}

Worker::Start Worker::start_on(Feed& feed, Job job, int position, Lane& lane) {
  const AgendaBatch& batch = *feed.batch;
  const Route& route = batch.spec->routes[static_cast<std::size_t>(feed.route)];
  const Model& model = lane.model();
  const Provider& provider = setup_.providers.at(model.provider);
  lock_.set_suspect(job.id.value);
  const ChatRequest request = request_for(*batch.spec, model, queue_.jobs().input(job.input_id));
  if (!may_fit(request, model)) {
    lock_.set_suspect(0);
    const std::string why =
        fmt::format("the document has about {} tokens; {} takes {} with the answer",
                    estimated_tokens(request.user), model.key, model.context_tokens);
    queue_.pass_over(job, position, static_cast<int>(route.chain.size()), "too_long", why);
    has_more_ = true;
    return Start::skipped;
  }
  EncodedRequest encoded = encode_request(request, model, provider.dialect);
  lock_.set_suspect(0);
  ClaimTerms terms;
  terms.position = position;
  terms.chain_length = static_cast<int>(route.chain.size());
  terms.worker = id_;
  terms.route = route.name;
  terms.provider = provider.name;
  terms.model = model.key;
  terms.model_asked = model.name;
  terms.request_bytes = static_cast<std::int64_t>(encoded.body.size());
  terms.max_input_tokens = encoded.max_input_tokens;
  terms.max_output_tokens = encoded.max_output_tokens;
  const auto price = prices_.find(model.key);
  if (price != prices_.end()) terms.price = price->second;
  if (batch.row.cap_pusd && !terms.price) {
    queue_.jobs().set_held(batch.row.id,
                           fmt::format("{} has no price, and a cap needs one", model.key));
    must_look_ = true;
    return block(feed, {"a model without a price", kNeverMs, true, true});
  }
  auto claim = queue_.claim(job, terms);
  if (!claim) {
    return meet_cap(
        feed, job,
        ceiling_pusd(terms.max_input_tokens, terms.max_output_tokens, terms.price->price));
  }
  if (batch.row.cap_pusd) claim->batch_has_cap = true;
  lane.start(clock_.now_ms());
  to_send_.push_back({claim->attempt, &provider, model.key, encoded.path, std::move(encoded.body)});
  const std::int64_t attempt = claim->attempt.value;
  flights_.emplace(attempt, Flight{std::move(*claim), &lane, &provider, batch.spec, terms.price});
  return Start::started;
}

// Near the cap the small ones go first; what does not fit steps aside for what does.
Worker::Start Worker::meet_cap(Feed& feed, const Job& refused, std::int64_t needed_pusd) {
  const BatchId id = feed.batch->row.id;
  const auto smallest = queue_.jobs().shortest_ready(id, feed.route, feed.position);
  if (smallest && smallest->text_bytes < refused.text_bytes) {
    feed.jobs.assign(1, *smallest);
    feed.next = 0;
    return start_head(feed);
  }
  const auto known = capped_.find(id);
  capped_[id] = known == capped_.end() ? needed_pusd : std::min(known->second, needed_pusd);
  const bool was_busy = busy_.contains(id);
  block(feed, {"its cap", 0, false, true});
  if (!was_busy) busy_.erase(id);
  return Start::blocked;
}

// A batch waits for a person only when nothing of it is in flight, nothing of it waits for anything
// else, and its smallest job does not fit.
void Worker::hold_at_caps() {
  for (const auto& [id, needed_pusd] : capped_) {
    const bool is_flying = std::any_of(flights_.begin(), flights_.end(), [&](const auto& flight) {
      return flight.second.claim.job.batch == id;
    });
    if (is_flying || busy_.contains(id) || queue_.jobs().has_waiting(id)) continue;
    const Batch row = queue_.jobs().batch(id);
    const std::int64_t total_pusd = row.spent_pusd + row.reserved_pusd + needed_pusd;
    queue_.jobs().set_held(
        id, fmt::format("its cap: {} spent, {} unknown, and the smallest job may cost {}; needs "
                        "--max-cost {} or more",
                        human_usd(row.spent_pusd), human_usd(row.reserved_pusd),
                        human_usd(needed_pusd), exact_usd(total_pusd)));
    log_warning("batch={} is held by its cap; needs --max-cost {} or more", row.name,
                exact_usd(total_pusd));
    must_look_ = true;
  }
}

}  // namespace docmill
