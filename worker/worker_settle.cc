// What the worker does with a reply: it is judged, settled, and tells lanes, brakes and pauses.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "llm/reply.h"
#include "tasks/task.h"
#include "worker/worker.h"

namespace docmill {
namespace {

// Fewer are not worth a commit of their own; more keep the first of them waiting, and what is sent
// together comes back together. So a turn settles half of the pool, and of a large pool as many as
// share the commit at so much each: of 50 us that a job costs this thread otherwise.
constexpr std::size_t kLeastATurn = 16;
constexpr std::size_t kMostATurn = 256;
constexpr std::size_t kMostOfAQuickDisk = 32;
constexpr std::int64_t kCommitUsAJob = 24;

// For who takes replies as they are: also one that was cut off by its length, is a refusal, or
// calls tools; not one that has no end, or comes from another model than the one that is pinned.
bool ends_whole(const DecodedReply& decoded) {
  if (decoded.outcome.ending == Ending::model_changed) return false;
  return decoded.outcome.error_class != "incomplete" || decoded.finish_reason == "tool_calls" ||
         decoded.finish_reason == "function_call";
}

// The key was accepted and the account is in order, whatever else was wrong.
bool has_heard_us(Ending ending) {
  return ending != Ending::not_sent && ending != Ending::cut && ending != Ending::too_slow &&
         ending != Ending::server_error && ending != Ending::overloaded;
}

// For people, the cause before the provider's own words.
std::string pause_reason(const Outcome& outcome) {
  static const std::map<std::string, const char*> kCauses = {
      {"out_of_money", "out of credit"},
      {"bad_key", "its key is refused"},
      {"account", "its account is not in order"},
      {"redirect", "it redirects, which is not followed with a key"},
      {"not_found", "the model is not there"},
      {"forbidden", "the key may not use it"},
      {"unsupported_parameter", "it refuses a parameter"}};
  const auto cause = kCauses.find(outcome.error_class);
  if (cause == kCauses.end()) return outcome.error_message;
  return fmt::format("{} ({})", cause->second, outcome.error_message);
}

}  // namespace

// How many, from the first; the others are the next turn's.
std::size_t Worker::settle_replies() {
  const auto half = static_cast<std::size_t>(options_.in_flight) / 2;
  const std::size_t most = std::clamp(static_cast<std::size_t>(commit_us_ / kCommitUsAJob),
                                      kMostOfAQuickDisk, kMostATurn);
  const std::size_t count = std::min(replies_.size(), std::clamp(half, kLeastATurn, most));
  for (std::size_t i = 0; i < count; ++i) {
    Received& received = replies_[i];
    const auto it = flights_.find(received.attempt.value);
    CHECK(it != flights_.end());
    settle(it->second, received);
    if (it->second.generation != now_.get()) carry(it->second, &Limits::end);
    flights_.erase(it);
  }
  if (!retired_.empty()) free_retired();
  note_ended();
  return count;
}

void Worker::note_ended() {
  for (const BatchId batch : queue_.finish_ended()) {
    log_info("batch={} finished", queue_.jobs().batch(batch).name);
    must_look_ = true;
    wake_at(clock_.now_ms());  // whoever waits for its end is told now
  }
}

// Not the model's, as which it was told: a whole body is written by its user; and a document on
// which the model says so again, and answers others meanwhile, has met a filter on the way.
bool Worker::is_own_fault(const Flight& flight, const DecodedReply& decoded) const {
  if (decoded.outcome.ending != Ending::model_down) return false;
  if (flight.spec->kind == TaskKind::requests && !decoded.refused_parameter.empty()) return true;
  return flight.claim.job.error_class == decoded.outcome.error_class &&
         flight.lane->own_limits().has_answered;
}

// What the flight's own terms make of a reply: its pin, the form that it was asked in, its task.
std::optional<Answer> Worker::judge(const Flight& flight, Received& received) {
  DecodedReply& decoded = received.decoded;
  std::optional<Answer> answer;
  check_pin(decoded, flight.lane->model());
  if (is_own_fault(flight, decoded)) {
    decoded.outcome.ending = Ending::bad_request;
  } else if (!decoded.refused_parameter.empty() &&
             flight.lane->repair(flight.form, decoded.refused_parameter)) {
    decoded.outcome.ending = Ending::repaired;
    log_info("model={} from now on is asked in another form: \"{}\"", flight.lane->model().key,
             decoded.outcome.error_message);
  }
  if (flight.spec->kind == TaskKind::requests) {
    auto whole = raw_answer(received.reply);
    if (whole && ends_whole(decoded)) {
      Outcome answered;
      answered.may_be_billed = !decoded.usage;
      answered.was_billed = decoded.usage.has_value();
      decoded.outcome = std::move(answered);
      answer = Answer{std::move(*whole), decoded.finish_reason};
    } else if (decoded.outcome.ending == Ending::answered) {
      decoded.outcome.ending = Ending::bad_reply;
      decoded.outcome.error_class = "no_choices";
      decoded.outcome.error_message = "the reply has no choices";
    }
  } else if (decoded.outcome.ending == Ending::answered) {
    CheckedAnswer checked = now_->pieces.check(flight.claim.job, *flight.spec, decoded.text);
    Outcome& outcome = decoded.outcome;
    if (!checked.problem.empty()) {
      outcome.ending = checked.result ? Ending::changed_structure : Ending::invalid_output;
      outcome.error_class = to_string(outcome.ending);
      outcome.error_message = checked.problem;
    }
    if (checked.result) answer = Answer{std::move(*checked.result), decoded.finish_reason};
  }
  return answer;
}

void Worker::settle(Flight& flight, Received& received) {
  lock_.set_suspect(flight.claim.job.id);
  const std::optional<Answer> answer = judge(flight, received);
  const DecodedReply& decoded = received.decoded;
  const HttpReply& reply = received.reply;
  const Model& model = flight.lane->model();
  const std::int64_t sent_at_ms = flight.claim.opened_at_ms;
  const Billing billing{flight.generation->prices.returned(model.key, decoded.model_returned,
                                                           flight.claim.price, sent_at_ms),
                        sent_at_ms, model.service_tier == "priority"};
  Settlement settlement = settlement_of(decoded, reply, billing);
  if (settlement.cost_basis == "unknown" && reply.streamed) {
    settlement.usage_json =
        estimated_usage_json(reply, static_cast<std::int64_t>(flight.departure.load.input_tokens));
  }
  if (!queue_.jobs().has_room(flight.claim.job.batch, settlement.cost_pusd.value_or(0))) {
    // Millions of USD: what it says that it used is kept, and not believed.
    settlement.cost_basis = "unknown";
    settlement.cost_pusd.reset();
    settlement.price.reset();
    queue_.jobs().set_held(
        flight.claim.job.batch,
        "its cost would be more than nine million USD; look at the prices, and at "
        "the usage that the provider reports");
    must_look_ = true;
  }
  // What cannot be priced may cost anything, and goes on counting under a cap.
  if (settlement.cost_basis == "unpriced" && flight.claim.is_capped) {
    settlement.cost_basis = "unknown";
  }
  const AgendaBatch* batch = agenda_.find(flight.claim.job.batch);
  const bool unwanted =
      (batch != nullptr ? batch->row : queue_.jobs().batch(flight.claim.job.batch))
          .cancelled_at_ms.has_value();
  const Settled settled =
      queue_.settle(flight.claim, decoded.outcome, settlement, answer, unwanted, random());
  lock_.set_suspect({});
  ModelMetrics& counted = metrics_.models[model.key];
  ++counted.requests[settlement.outcome];
  if (settlement.total_ms) {
    counted.seconds.add(static_cast<double>(*settlement.total_ms) / 1000);
  }
  if (settlement.usage) add(counted.usage, *settlement.usage);
  counted.cost_pusd += settlement.cost_pusd.value_or(0);
  if (settlement.cost_basis == "unknown") {
    caps_.add_unknown();
  } else {
    caps_.add(flight.tenant, flight.claim.opened_at_ms,
              settlement.cost_pusd.value_or(0) - flight.claim.ceiling_pusd.value_or(0));
  }
  after_settle(flight, decoded, settled, read_rate_headers(reply));
}

void Worker::after_settle(const Flight& flight, const DecodedReply& decoded, const Settled& settled,
                          const RateHints& hints) {
  const Outcome& outcome = decoded.outcome;
  const Model& model = flight.lane->model();
  flight.lane->end(flight.departure, outcome, settled.decision, decoded.usage, hints,
                   clock_.now_ms());
  has_more_ = true;  // a slot is free, and the job may be ready again
  if (settled.decision.move == Move::done) {
    ++answers_;
    have_answered_.insert(model.provider);
    in_flight_limit_ = options_.in_flight;
  } else {
    log_debug("job={} attempt={} model={} request={} outcome={} \"{}\"", flight.claim.job.id.value,
              flight.claim.attempt.value, model.key, decoded.request_id, outcome.error_class,
              outcome.error_message);
  }
  if (settled.passed_ceiling) {
    log_warning("job={} attempt={} model={} cost more than its ceiling{}",
                flight.claim.job.id.value, flight.claim.attempt.value, model.key,
                flight.claim.is_capped ? "; its batch is held" : "");
    must_look_ = true;
  }
  const Move move = settled.decision.move;
  if (settled.changed_job) follow_pieces(flight, outcome, move);
  const bool is_document = !flight.claim.job.parent;
  if (is_document && settled.changed_job && (move == Move::done || move == Move::fail)) {
    note_end(flight.claim.job.batch, *flight.spec, move == Move::done ? "" : outcome.error_class);
  }
  end_pauses(flight, outcome, settled);
}

// A text that has to be cut is, and a document whose last piece is done is put together.
void Worker::follow_pieces(const Flight& flight, const Outcome& outcome, Move move) {
  const Job& job = flight.claim.job;
  const BatchSpec& spec = *flight.spec;
  if (move == Move::done) {
    must_look_ |= now_->pieces.gather(job, spec);
  } else if (move == Move::split) {
    const Model& model = flight.lane->model();
    must_look_ = true;
    const std::optional<ChatRequest> request = now_->pieces.request(job, spec, model);
    if (request && now_->pieces.cut(job, spec, *request, model, true)) return;
    const int last = flight.claim.onward.chain_length - 1;
    queue_.pass_over(job, last, last + 1, outcome.error_class, outcome.error_message);
    if (!job.parent) note_end(job.batch, spec, outcome.error_class);
  }
}

// Too many failures hold the batch, before they cost more.
void Worker::note_end(BatchId batch, const BatchSpec& spec, const std::string& error_class) {
  const auto brake = brakes_.try_emplace(batch, Brake(parse_brake(spec.brake).value_or(0))).first;
  const std::optional<std::string> reason = brake->second.note(error_class);
  if (!reason) return;
  queue_.jobs().set_held(batch, reason);
  log_warning("batch={} is held by {}", queue_.jobs().batch(batch).name, *reason);
  must_look_ = true;
}

void Worker::end_pauses(const Flight& flight, const Outcome& outcome, const Settled& settled) {
  const Model& model = flight.lane->model();
  Limits& shared = flight.generation->provider_limits.at(model.provider);
  must_look_ |= flight.generation != now_.get() && settled.decision.pauses != Pauses::nothing;
  if (settled.decision.pauses == Pauses::provider) {
    pause(shared, model.provider, pause_reason(outcome));
  } else if (settled.decision.pauses == Pauses::model) {
    pause(flight.lane->own_limits(), model.key, pause_reason(outcome));
  }
  for (Limits* limits : {&shared, &flight.lane->own_limits()}) {
    limits->has_answered |= outcome.ending == Ending::answered;
    if (!limits->pause || !limits->pause->is_probing) continue;
    limits->pause->is_probing = false;
    if (settled.decision.pauses != Pauses::nothing || outcome.ending == Ending::aborted) continue;
    if (!has_heard_us(outcome.ending)) {
      limits->pause->probe_at_ms = clock_.now_ms() + options_.pause_probe_ms;
      continue;
    }
    log_info("{} works again", limits->name);
    queue_.jobs().resume_provider(limits->name);
    limits->pause.reset();
  }
}

void Worker::pause(Limits& limits, const std::string& key, const std::string& reason) {
  limits.has_answered = false;
  const std::int64_t now_ms = clock_.now_ms();
  const std::int64_t probe_at_ms = now_ms + options_.pause_probe_ms;
  if (!limits.pause) log_warning("{} is paused: {}", key, reason);
  limits.pause = Pause{reason, probe_at_ms, false};
  queue_.jobs().pause_provider(key, reason, now_ms, probe_at_ms);
}

// What `resume --provider` took away is over; what the last life paused stays paused.
void Worker::load_pauses() {
  const std::vector<ProviderPause> rows = queue_.jobs().pauses();
  const auto load = [&](const std::string& key, Limits& limits) {
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const ProviderPause& pause) { return pause.key == key; });
    if (row == rows.end()) {
      limits.pause.reset();
    } else if (!limits.pause) {
      limits.pause = Pause{row->reason, row->probe_at_ms, false};
    }
  };
  for (auto& [name, limits] : now_->provider_limits) {
    load(name, limits);
    const auto problem = now_->setup.no_key.find(name);
    if (problem != now_->setup.no_key.end()) limits.pause = Pause{problem->second, kNeverMs, false};
  }
  for (auto& [key, lane] : now_->lanes) load(key, lane->own_limits());
}

// A new life may have been started because the key was mended: one document asks at once.
void Worker::probe_soon() {
  const auto probe = [&](Limits& limits) {
    if (limits.pause && limits.pause->probe_at_ms != kNeverMs) limits.pause->probe_at_ms = 0;
  };
  for (auto& [name, limits] : now_->provider_limits) probe(limits);
  for (auto& [key, lane] : now_->lanes) probe(lane->own_limits());
}

}  // namespace docmill
