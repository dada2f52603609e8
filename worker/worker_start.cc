// The half of the turn that starts requests: which job, on which model of its chain, and whether
// the lane and the cap allow it.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/money.h"
#include "base/text.h"
#include "tasks/task.h"
#include "worker/worker.h"

namespace docmill {
namespace {

// A shorter wait is not worth a word in the ledger.
constexpr std::int64_t kWaitNotedMs = 1000;
constexpr std::int64_t kDiskLookMs = 1000;
// So many jobs may step aside in one turn, each without a request; replies wait meanwhile.
constexpr int kSkippedAtOnce = 200;
constexpr int kOftenRefused = 3;
// What is taken from one search for jobs that may still fit.
constexpr int kSmallestAtOnce = 64;
constexpr std::int64_t kDiskReserveBytes = 64 << 20;
constexpr std::int64_t kDiskReserveShare = 8;  // of a small disk

// The vendor by a model's first letters: gpt, claude, deepseek, also behind "vendor/".
std::string vendor_of(const std::string& model) {
  const std::size_t slash = model.find_last_of('/');
  const std::string name =
      lower_ascii(slash == std::string::npos ? model : model.substr(slash + 1));
  return name.substr(0, name.find_first_not_of("abcdefghijklmnopqrstuvwxyz"));
}

}  // namespace

void Worker::start_due_jobs() {
  has_more_ = false;
  connecting_ = nullptr;
  capped_.clear();
  busy_.clear();
  behind_now_.clear();
  next_start_ms_ = next_unaided_start_ms_ = kNeverMs;
  if (stop_deadline_ms_) return waits_.clear();
  const bool has_slot = static_cast<int>(flights_.size()) < in_flight_limit_;
  // Without one nothing is looked at anew, and what kept a batch from starting is still true.
  if (has_slot) waits_.clear();
  const std::int64_t wanted_bytes = options_.disk_reserve_bytes.value_or(
      std::min(kDiskReserveBytes, db_.disk_bytes() / kDiskReserveShare));
  if (db_.free_disk_bytes() < wanted_bytes) return wait_for_disk(wanted_bytes);
  agenda_.begin_turn();
  int skipped = 0;
  for (;;) {
    const int slots = in_flight_limit_ - static_cast<int>(flights_.size());
    if (slots <= 0) break;
    // A batch was held or ended on the way, or there is much to pass over: the next turn goes on.
    if (must_look_ || skipped >= kSkippedAtOnce) {
      has_more_ = true;
      break;
    }
    Feed* feed = agenda_.next(queue_.jobs(), slots);
    if (feed == nullptr) {
      hold_at_caps();
      behind_since_ = behind_now_;  // all feeds were seen
      break;
    }
    const Start start = start_head(*feed);
    if (start != Start::blocked) agenda_.took(*feed);
    if (start == Start::skipped) ++skipped;
  }
  note_full_pool();
  note_ended();
  if (const auto due_ms = queue_.jobs().next_due(options_.only_batch)) {
    next_start_ms_ = std::min(next_start_ms_, *due_ms);
    next_unaided_start_ms_ = std::min(next_unaided_start_ms_, *due_ms);
  }
}

// Whoever waits and is not told otherwise waits for a slot of the pool.
void Worker::note_full_pool() {
  if (static_cast<int>(flights_.size()) < in_flight_limit_) return;
  const std::int64_t now_ms = clock_.now_ms();
  std::map<std::string, int> flying;
  for (const auto& [attempt, flight] : flights_) ++flying[flight.provider->name];
  const auto most =
      std::max_element(flying.begin(), flying.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::string reason = fmt::format("slots: all {} in flight, {} of them at {}",
                                         flights_.size(), most->second, most->first);
  for (const AgendaBatch& batch : agenda_.batches()) {
    if (!batch.row.may_start()) continue;
    Wait& wait = waits_[batch.row.name];
    const bool still_holds =
        wait.until_ms > now_ms || wait.reason.find(" paused: ") != std::string::npos;
    if (!still_holds) wait = {reason, 0};
  }
}

// A provider that takes long, or never answers, does not get the whole pool while documents wait
// that go to another one.
bool Worker::crowds_out(const Provider& provider) const {
  const int flying = now_->provider_limits.at(provider.name).flying();
  if (flying < in_flight_limit_ - in_flight_limit_ / 4) return false;
  // One that has not answered yet may never do so.
  if (now_->provider_limits.size() > 1 && !have_answered_.contains(provider.name)) return true;
  for (const Feed& feed : agenda_.feeds()) {
    if (feed.next >= feed.jobs.size()) continue;
    const Chain& chain = feed.batch->spec->routes[static_cast<std::size_t>(feed.route)].chain;
    const auto lane = now_->lanes.find(chain[static_cast<std::size_t>(feed.position)].model);
    if (lane == now_->lanes.end() || lane->second->model().provider == provider.name) continue;
    const Limits& other = lane->second->provider_limits();
    if (!other.pause && other.flying() < in_flight_limit_ / 4) return true;
  }
  return false;
}

// What is in flight still needs room for its answers. Looked at again each second.
void Worker::wait_for_disk(std::int64_t wanted_bytes) {
  for (const AgendaBatch& batch : agenda_.batches()) {
    if (!batch.row.may_start()) continue;
    waits_[batch.row.name].reason =
        fmt::format("the disk: less than {} free", human_bytes(wanted_bytes));
  }
  next_start_ms_ = next_unaided_start_ms_ = clock_.now_ms() + kDiskLookMs;
}

// Why the model at this place of a chain cannot be asked now.
std::optional<Refusal> Worker::refusal_at(const Feed& feed, const Link& link, bool is_last) {
  const auto lane = now_->lanes.find(link.model);
  if (lane == now_->lanes.end()) {
    return Refusal{fmt::format("{} is not in the worker's config", link.model), kNeverMs, true,
                   true};
  }
  const Provider& provider = now_->setup.providers.at(lane->second->model().provider);
  const std::vector<std::string>& regions = feed.batch->spec->regions;
  if (!regions.empty() &&
      std::find(regions.begin(), regions.end(), provider.region) == regions.end()) {
    return Refusal{fmt::format("{} is outside of --regions", link.model), kNeverMs, true, true};
  }
  const std::int64_t now_ms = clock_.now_ms();
  std::optional<Refusal> refusal = lane->second->refusal(now_ms);
  if (!refusal && crowds_out(provider)) {
    refusal = Refusal{fmt::format("its share of the slots: {} has three quarters", provider.name),
                      0, false, false};
  }
  const bool is_first_away = lane->second->provider_limits().flying() > 0;
  if (!refusal && is_first_away && !transport_.has_connected(provider)) {
    connecting_ = &provider;
    return Refusal{fmt::format("the first connection to {}", provider.name), 0, false, false};
  }
  if (!refusal || refusal->is_out_of_order || is_last || !link.max_wait_ms) return refusal;
  const auto since = behind_since_.find(feed.key());
  const std::int64_t waited_ms = since == behind_since_.end() ? 0 : now_ms - since->second;
  const std::int64_t ahead_ms = std::max<std::int64_t>(refusal->until_ms - now_ms, 0);
  behind_now_[feed.key()] = now_ms - waited_ms;
  refusal->is_out_of_order = std::max(waited_ms, ahead_ms) >= *link.max_wait_ms;
  if (!refusal->is_out_of_order) {
    // Then the next model may be asked.
    const std::int64_t enough_ms = now_ms + *link.max_wait_ms - waited_ms;
    if (refusal->until_ms == 0 || refusal->until_ms > enough_ms) refusal->until_ms = enough_ms;
  }
  return refusal;
}

// A model that is out of order is passed over while the chain goes on; a busy one is waited for.
Worker::Start Worker::start_head(Feed& feed) {
  const Route& route = feed.batch->spec->routes[static_cast<std::size_t>(feed.route)];
  std::optional<Refusal> first;
  bool misses_all = true;  // none of its models is in the config: a person has to see to that
  for (auto position = static_cast<std::size_t>(feed.position); position < route.chain.size();
       ++position) {
    const Link& link = route.chain[position];
    const std::optional<Refusal> refusal =
        refusal_at(feed, link, position + 1 == route.chain.size());
    if (!refusal) {
      turn_to_untried(feed, *now_->lanes.at(link.model));
      return start_on(feed, feed.jobs[feed.next], static_cast<int>(position),
                      *now_->lanes.at(link.model));
    }
    if (!first) first = refusal;
    if (!refusal->is_out_of_order) return block(feed, *refusal);
    // Its end is a reason to look again, even if another model is waited for.
    wake_for(*refusal);
    misses_all &= !now_->lanes.contains(link.model);
  }
  if (misses_all) queue_.jobs().set_held(feed.batch->row.id, first->reason);
  must_look_ |= misses_all;
  return block(feed, *first);
}

// A job that is refused again and again goes behind the others, and does not ask whether a pause or
// a rest is over: it may be the cause of it.
void Worker::turn_to_untried(Feed& feed, const Lane& lane) {
  const Job& head = feed.jobs[feed.next];
  if (head.error_class.empty()) return;
  const bool is_often_refused =
      head.error_class == "rate_limited" && head.requests - head.requests_before >= kOftenRefused;
  if (!is_often_refused && !lane.is_in_doubt()) return;
  const auto job = queue_.jobs().untried_ready(head.batch, feed.route, feed.position);
  if (!job) return;
  feed.jobs = {*job};
  feed.next = 0;
}

Worker::Start Worker::block(Feed& feed, const Refusal& refusal) {
  feed.is_blocked = true;
  busy_.insert(feed.batch->row.id);
  const std::int64_t now_ms = clock_.now_ms();
  Blocked& blocked = blocked_[feed.key()];
  // One that trickles is blocked all the time.
  const bool is_anew =
      blocked.since_ms == 0 || (blocked.ended_ms != 0 && blocked.ended_ms < now_ms - kWaitNotedMs);
  if (is_anew) blocked.since_ms = now_ms;
  blocked.reason = refusal.reason;
  blocked.ended_ms = 0;
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

Onward Worker::onward_from(const Route& route, int position, const Job& job,
                           const ChatRequest& request) {
  const auto model_at = [&](std::size_t at) -> const Model* {
    const auto found = now_->setup.models.find(route.chain[at].model);
    return found == now_->setup.models.end() ? nullptr : &found->second;
  };
  Onward onward;
  onward.chain_length = static_cast<int>(route.chain.size());
  const Model& model = *model_at(static_cast<std::size_t>(position));
  if (!job.raised_output_tokens) onward.raised_output_tokens = raised_limit(request, model);
  for (auto at = static_cast<std::size_t>(position) + 1; at < route.chain.size(); ++at) {
    const Model* next = model_at(at);
    if (next == nullptr) continue;
    if (!onward.larger_position && next->context_tokens > model.context_tokens) {
      onward.larger_position = static_cast<int>(at);
    }
    if (!onward.other_vendor_position && vendor_of(next->name) != vendor_of(model.name)) {
      onward.other_vendor_position = static_cast<int>(at);
    }
  }
  return onward;
}

// Under a cap every request needs a bound on what it can cost. Empty: it has one.
std::string Worker::cap_problem(const AgendaBatch& batch, const Model& model) const {
  if (!batch.row.cap_pusd && !caps_.binds(batch.row.tenant)) return {};
  if (!now_->prices.asked(model.key)) {
    return fmt::format("{} has no price, and a cap needs one", model.key);
  }
  const std::string reason = unbounded_reason(model);
  return reason.empty() ? "" : fmt::format("{} has {}, and a cap needs a bound", model.key, reason);
}

Worker::Start Worker::hold_unbounded(Feed& feed, const std::string& problem) {
  if (feed.batch->row.cap_pusd) {
    queue_.jobs().set_held(feed.batch->row.id, problem);
    must_look_ = true;
  }
  return block(feed, {problem, kNeverMs, true, true});
}

// What of a whole body no ceiling bounds, where a cap needs one.
std::string Worker::unbounded_in(const AgendaBatch& batch, const ChatRequest& request) const {
  const bool is_capped = batch.row.cap_pusd || caps_.binds(batch.row.tenant);
  if (!is_capped || request.raw_body.empty()) return {};
  return unbounded_in_body(request.raw_body);
}

Worker::Start Worker::pass_over(Feed& feed, const Job& job, int position, const TokenCount& input,
                                const Model& model) {
  const Route& route = feed.batch->spec->routes[static_cast<std::size_t>(feed.route)];
  const std::string why =
      fmt::format("the document has {}{} tokens with its prompt; {} takes {} with the answer",
                  input.is_exact ? "" : "about ", input.tokens, model.key, model.context_tokens);
  const int length = static_cast<int>(route.chain.size());
  if (position + 1 == length) return fail_unsent(feed, job, "too_long", why);
  lock_.set_suspect({});
  queue_.pass_over(job, position, length, "too_long", why);
  has_more_ = true;
  return Start::skipped;
}

// No model of its chain would take it.
Worker::Start Worker::fail_unsent(Feed& feed, const Job& job, const std::string& error_class,
                                  const std::string& why) {
  const AgendaBatch& batch = *feed.batch;
  lock_.set_suspect({});
  const auto length =
      static_cast<int>(batch.spec->routes[static_cast<std::size_t>(feed.route)].chain.size());
  queue_.pass_over(job, length - 1, length, error_class, why);
  if (!job.parent) note_end(batch.row.id, *batch.spec, error_class);
  has_more_ = true;
  return Start::skipped;
}

Worker::Start Worker::start_on(Feed& feed, Job job, int position, Lane& lane) {
  const AgendaBatch& batch = *feed.batch;
  const Route& route = batch.spec->routes[static_cast<std::size_t>(feed.route)];
  const Model& model = lane.model();
  if (const std::string problem = cap_problem(batch, model); !problem.empty()) {
    return hold_unbounded(feed, problem);
  }
  const Provider& provider = now_->setup.providers.at(model.provider);
  lock_.set_suspect(job.id);
  const std::optional<ChatRequest> read = now_->pieces.request(job, *batch.spec, model);
  if (!read) {
    const std::string why = fmt::format(
        "the text with id {} in job_input is not as it was kept; docs/operations.md, \"A damaged "
        "store\"",
        job.input_id);
    log_error("batch={} job={} fails: {}", batch.row.name, job.id.value, why);
    return fail_unsent(feed, job, "damaged_text", why);
  }
  const ChatRequest& request = *read;
  if (const std::string what = unbounded_in(batch, request); !what.empty()) {
    return fail_unsent(feed, job, "unbounded",
                       fmt::format("under a cap a request needs a bound, and it has {}", what));
  }
  const TokenCount input = now_->pieces.count(request, model);
  if (now_->pieces.is_too_long(*batch.spec, request, input, model)) {
    const bool fits_later = now_->pieces.fits_further_on(*batch.spec, route, position, request);
    if (!fits_later && now_->pieces.cut(job, *batch.spec, request, model, false)) {
      lock_.set_suspect({});
      has_more_ = must_look_ = true;
      return Start::skipped;
    }
    // Uncut, it is sent all the same if only the answer may be too long.
    if (fits_later || !may_fit(request, input, model)) {
      return pass_over(feed, job, position, input, model);
    }
  }
  EncodedRequest encoded =
      now_->encoders[model.key].encode(request, model, lane.form(), provider.dialect);
  lock_.set_suspect({});
  ClaimTerms terms;
  terms.position = position;
  terms.onward = onward_from(route, position, job, request);
  terms.onward.can_split = now_->pieces.may_cut(job, request);
  terms.worker = id_;
  terms.route = route.name;
  terms.provider = provider.name;
  terms.model = model.key;
  terms.model_asked = model.name;
  terms.request_bytes = static_cast<std::int64_t>(encoded.body.size());
  terms.max_output_tokens = encoded.max_output_tokens;
  terms.waited_for = waited_for(feed, job);
  terms.estimated_tokens = input.tokens;
  terms.price = now_->prices.asked(model.key);
  if (terms.price) {
    terms.ceiling_pusd = ceiling_pusd(encoded.max_input_tokens, encoded.max_output_tokens,
                                      terms.price->price, model.service_tier);
  }
  return send_on(feed, job, terms, std::move(encoded), lane);
}

// What the feed was blocked by lately, if the job was there already and it was for long.
std::string Worker::waited_for(const Feed& feed, const Job& job) const {
  const auto blocked = blocked_.find(feed.key());
  if (blocked == blocked_.end()) return {};
  const std::int64_t now_ms = clock_.now_ms();
  const std::int64_t since_ms = std::max(blocked->second.since_ms, job.created_at_ms);
  const std::int64_t ended_ms = blocked->second.ended_ms;
  const bool is_past = ended_ms != 0 && ended_ms < now_ms - kWaitNotedMs;
  return is_past || now_ms - since_ms < kWaitNotedMs ? std::string() : blocked->second.reason;
}

// The last gates, the caps; then the job is claimed.
Worker::Start Worker::send_on(Feed& feed, const Job& job, const ClaimTerms& terms,
                              EncodedRequest encoded, Lane& lane) {
  const AgendaBatch& batch = *feed.batch;
  const std::int64_t now_ms = clock_.now_ms();
  if (const auto refused = caps_.refusal(batch.row.tenant, terms.ceiling_pusd, now_ms)) {
    return meet_period_cap(feed, *refused);
  }
  auto claim = queue_.claim(job, terms);
  if (!claim) return meet_cap(feed, terms.ceiling_pusd);
  caps_.add(batch.row.tenant, claim->opened_at_ms, terms.ceiling_pusd);
  if (const auto blocked = blocked_.find(feed.key()); blocked != blocked_.end()) {
    if (blocked->second.ended_ms == 0) blocked->second.ended_ms = now_ms;
  }
  claim->is_capped = batch.row.cap_pusd.has_value() || caps_.binds(batch.row.tenant);
  const double input_tokens = lane.expected_tokens(terms.estimated_tokens);
  const Departure departure =
      lane.start(now_ms, {input_tokens, static_cast<double>(terms.max_output_tokens)});
  const Provider& provider = now_->setup.providers.at(lane.model().provider);
  const Route& route = batch.spec->routes[static_cast<std::size_t>(feed.route)];
  HttpRequest out;
  out.attempt = claim->attempt;
  out.job = job.id;
  out.provider = &provider;
  out.model = lane.model().key;
  out.path = std::move(encoded.path);
  out.body = std::move(encoded.body);
  out.keeps_body = batch.spec->kind == TaskKind::requests;
  out.is_stream = lane.form().stream && !out.keeps_body;
  out.max_latency_ms = route.chain[static_cast<std::size_t>(terms.position)].max_latency_ms;
  to_send_.push_back(std::move(out));
  const std::int64_t attempt = claim->attempt.value;
  flights_.emplace(attempt, Flight{std::move(*claim), now_.get(), &lane, &provider, batch.spec,
                                   batch.row.tenant, lane.form(), departure});
  return Start::started;
}

// What does not fit into what is left steps aside for what may cost least. The search walks all
// ready jobs, so it is made again only when there is more room. False: nothing smaller is there.
bool Worker::turn_to_smallest(Feed& feed, std::int64_t left_pusd) {
  const auto dry = dry_pusd_.find(feed.key());
  if (feed.is_smallest_first) {
    dry_pusd_[feed.key()] = left_pusd;
    return false;
  }
  if (dry != dry_pusd_.end() && left_pusd <= dry->second) return false;
  const Job& job = feed.jobs[feed.next];
  feed.jobs = queue_.jobs().smallest_ready(job.batch, feed.route, feed.position, kSmallestAtOnce);
  feed.next = 0;
  feed.is_smallest_first = true;
  return true;
}

// A daily or monthly cap makes jobs wait.
Worker::Start Worker::meet_period_cap(Feed& feed, const Caps::Refusal& refusal) {
  if (turn_to_smallest(feed, refusal.left_pusd)) return start_head(feed);
  if (!refusal.can_never_fit) return block(feed, {refusal.reason, refusal.until_ms, false, false});
  return block(feed, {fmt::format("{}: one request alone may cost more", refusal.reason), kNeverMs,
                      false, true});
}

// Near the cap fewer fly, and the small ones go first.
Worker::Start Worker::meet_cap(Feed& feed, std::int64_t needed_pusd) {
  const Batch row = queue_.jobs().batch(feed.batch->row.id);
  const std::int64_t left_pusd = row.cap_pusd.value_or(0) - row.spent_pusd - row.reserved_pusd;
  if (turn_to_smallest(feed, left_pusd)) return start_head(feed);
  Capped& capped = capped_.try_emplace(row.id, Capped{needed_pusd, false}).first->second;
  capped.needed_pusd = std::min(capped.needed_pusd, needed_pusd);
  capped.has_unsearched |= !feed.is_smallest_first;
  const bool was_busy = busy_.contains(row.id);
  block(feed, {"its cap", 0, false, true});
  if (!was_busy) busy_.erase(row.id);
  return Start::blocked;
}

// A batch waits for a person only when nothing of it is in flight, nothing of it waits for anything
// else, and its smallest job does not fit.
void Worker::hold_at_caps() {
  for (const auto& [id, capped] : capped_) {
    const bool is_flying = std::any_of(flights_.begin(), flights_.end(), [&](const auto& flight) {
      return flight.second.claim.job.batch == id;
    });
    if (is_flying || busy_.contains(id) || queue_.jobs().has_waiting(id)) continue;
    if (capped.has_unsearched) {  // a job may have come back that fits
      // All of them, or each would have its turn to be searched while the others are not.
      std::erase_if(dry_pusd_, [&, batch = id](const auto& dry) {
        return std::get<BatchId>(dry.first).value == batch.value;
      });
      has_more_ = true;
      continue;
    }
    const std::int64_t needed_pusd = capped.needed_pusd;
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
