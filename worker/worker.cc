#include "worker/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "llm/reply.h"
#include "tasks/task.h"
#include "worker/service.h"

// An exception out of turn() leaves the memory ahead of the store. It is always fatal: the next
// life reads the truth from the store.

namespace docmill {
namespace {

constexpr std::int64_t kPublishEveryMs = 1000;
// A nudge that was lost is made good after this.
constexpr std::int64_t kIdleMs = 10'000;
// While another process holds the write lock; the place in the queue is kept meanwhile.
constexpr std::int64_t kLockRetryMs = 2;
constexpr std::int64_t kLockRetryMostMs = 100;
constexpr std::int64_t kLockWaitToldMs = 5000;
// What --drain still waits for.
constexpr std::int64_t kDrainHorizonMs = 900'000;
// After so many lives without an answer the next one goes carefully.
constexpr int kBarrenLives = 3;
// What a turn writes beside replies, and what a byte of a reply may become: answer, pages, WAL.
constexpr std::int64_t kTurnBytes = 1 << 20;
constexpr std::int64_t kWrittenPerReplyByte = 4;
constexpr std::int64_t kDiskRetryMs = 1000;
constexpr std::size_t kMostStatusBytes = 300;  // what systemctl status shows on a line or two

}  // namespace

Worker::Worker(Database& db, WorkerLock& lock, const Clock& clock, Transport& transport,
               WorkerSetup setup, WorkerOptions options)
    : db_(db),
      lock_(lock),
      clock_(clock),
      transport_(transport),
      options_(std::move(options)),
      queue_(db, clock, options_.policy),
      caps_(options_.caps),
      jitter_(options_.seed) {
  take_over(std::move(setup));
  if (options_.longest_life_ms) ends_at_ms_ = clock.now_ms() + *options_.longest_life_ms;
  load_pauses();
  probe_soon();
}

Worker::~Worker() = default;

void Worker::take_over(WorkerSetup setup) {
  // A process that dies damages no file, and reading a large one takes long; a copy that was
  // written over a file cannot be told from it.
  const bool is_quick = db_.file_bytes() <= options_.quickly_read_bytes;
  if (queue_.ledger().was_left_open() && (is_quick || !lock_.has_file_as_it_was_left())) {
    if (const std::string damage = db_.damage(); !damage.empty()) {
      throw WorldError(damaged_store(db_.file(), damage));
    }
  }
  const std::vector<JobId> suspects = lock_.suspects_left_behind();
  lock_.announce(clock_.now_ms());
  recovered_ = queue_.recover_in_transaction(suspects);
  now_ = std::make_unique<Generation>(queue_, std::move(setup), options_, clock_.now_ms());
  Transaction transaction(db_);
  id_ = queue_.ledger().start_worker(getpid(), DOCMILL_VERSION, clock_.now_ms());
  now_->prices.refresh(clock_.now_ms());
  caps_.begin(queue_.ledger(), clock_.now_ms());
  transaction.commit();
  in_flight_limit_ = recovered_.barren_lives >= kBarrenLives ? 1 : options_.in_flight;
}

void Worker::reload(WorkerSetup setup, const WorkerOptions& options) {
  const std::int64_t now_ms = clock_.now_ms();
  auto next = std::make_unique<Generation>(queue_, std::move(setup), options, now_ms);
  retired_.push_back(std::move(now_));
  now_ = std::move(next);
  for (const auto& [attempt, flight] : flights_) carry(flight, &Limits::carry);
  free_retired();
  WorkerOptions changed = options;
  changed.drain = options_.drain;
  changed.only_batch = options_.only_batch;
  changed.seed = options_.seed;
  options_ = std::move(changed);
  queue_.set_policy(options_.policy);
  caps_ = Caps(options_.caps);
  caps_.begin(queue_.ledger(), now_ms);
  if (answers_ > 0 || recovered_.barren_lives < kBarrenLives) in_flight_limit_ = options_.in_flight;
  connecting_ = nullptr;
  load_pauses();
  probe_soon();
  must_look_ = has_more_ = true;
  next_wake_ms_ = 0;
}

// A request of an older generation takes a place in the limits of this one, too, until it ends.
void Worker::carry(const Flight& flight, void (Limits::*note)()) {
  const Model& model = flight.lane->model();
  const auto limits = now_->provider_limits.find(model.provider);
  if (limits != now_->provider_limits.end()) (limits->second.*note)();
  const auto lane = now_->lanes.find(model.key);
  if (lane != now_->lanes.end()) (lane->second->own_limits().*note)();
}

void Worker::free_retired() {
  std::erase_if(retired_, [&](const std::unique_ptr<Generation>& old) {
    return std::none_of(flights_.begin(), flights_.end(),
                        [&](const auto& flight) { return flight.second.generation == old.get(); });
  });
}

void Worker::run(const std::function<void()>& after_wait) {
  while (!is_finished_) {
    turn();
    if (is_finished_) break;
    transport_.wait(std::min(next_wake_ms_, asked_wake_ms_));
    asked_wake_ms_ = kNeverMs;
    after_wait();
  }
}

// Replies first. They are paid for, so they should reach the disk before more is spent; and each
// frees a slot that starting can use in the same turn.
void Worker::turn() {
  for (Received& received : transport_.take_received()) replies_.push_back(std::move(received));
  const std::int64_t now_ms = clock_.now_ms();
  if (has_work(now_ms)) {
    const std::int64_t began_us = monotonic_us();
    if (!has_room_to_write(now_ms)) return check_patience(now_ms);
    const std::unique_ptr<Transaction> transaction = Transaction::try_begin(db_);
    if (!transaction) {
      wait_for_lock(now_ms);
      return check_patience(now_ms);
    }
    lock_wanted_since_ms_ = 0;
    look();
    const std::size_t settled = settle_replies();
    if (must_look_) reload_agenda();  // a batch may have been held by what came back
    queue_.promote_due();
    start_due_jobs();
    // Once nothing flies there may be no other turn for long, so the reason is told now.
    const bool is_going_to_wait =
        flights_.empty() && (waits_text() != published_waits_ || answers_ != published_answers_);
    if (is_going_to_wait || now_ms - published_at_ms_ >= kPublishEveryMs) publish(now_ms);
    const std::int64_t written_us = monotonic_us();
    transaction->commit();  // the one fsync of this turn
    const std::int64_t ended_us = monotonic_us();
    commit_us_ += (ended_us - written_us - commit_us_) / 4;
    metrics_.turn_seconds.add(static_cast<double>(ended_us - began_us) / 1e6);
    replies_.erase(replies_.begin(), replies_.begin() + static_cast<std::ptrdiff_t>(settled));
    send_started();
  } else if (flights_.empty()) {
    db_.checkpoint_when_idle();
  }
  plan_wake(now_ms);
  check_finished(now_ms);
}

// Replies are read meanwhile, and kept.
void Worker::wait_for_lock(std::int64_t now_ms) {
  if (lock_wanted_since_ms_ == 0) lock_wanted_since_ms_ = now_ms;
  const std::int64_t waited_ms = now_ms - lock_wanted_since_ms_;
  const int holder = db_.write_lock().holder_pid().value_or(0);
  if (waited_ms >= kLockWaitToldMs && now_ms - lock_wait_told_ms_ >= kLockWaitToldMs) {
    lock_wait_told_ms_ = now_ms;
    log_warning("the write lock is held by pid {} for {}; {} replies are kept", holder,
                human_duration(waited_ms), replies_.size());
  }
  if (is_cutting_ && waited_ms >= kLockWaitToldMs) {
    throw WorldError(fmt::format("stopped without writing {} replies: pid {} has the write lock",
                                 replies_.size(), holder));
  }
  next_wake_ms_ = now_ms + std::clamp<std::int64_t>(waited_ms / 8, kLockRetryMs, kLockRetryMostMs);
}

// A commit that fails for want of space would end this life, and lose the replies that it holds. So
// they are kept until there is room; past the end of a stop's patience the commit is tried anyway.
bool Worker::has_room_to_write(std::int64_t now_ms) {
  std::int64_t wanted_bytes = kTurnBytes;
  for (const Received& received : replies_) {
    const std::size_t text_bytes = received.decoded.text.size() + received.reply.body.size();
    wanted_bytes += kWrittenPerReplyByte * static_cast<std::int64_t>(text_bytes);
  }
  const bool is_full = !db_.take_room(wanted_bytes);
  if (is_full != is_disk_full_) {
    is_disk_full_ = is_full;
    if (is_full) {
      log_warning("the disk is full: {} replies are kept until there is room", replies_.size());
    } else {
      log_warning("the disk has room again: {} replies go on", replies_.size());
    }
    notify_service(is_full ? "STATUS=the disk is full" : "STATUS=the disk has room again");
  }
  if (!is_full || is_cutting_) return true;
  next_wake_ms_ = now_ms + kDiskRetryMs;
  return false;
}

// A turn costs an fsync; most wakes bring nothing that is worth one.
bool Worker::has_work(std::int64_t now_ms) {
  if (!replies_.empty()) return true;
  notice_changes();
  if (stop_deadline_ms_) return false;
  const bool can_start = static_cast<int>(flights_.size()) < in_flight_limit_;
  if (must_look_ || (can_start && has_more_)) return true;
  if (can_start && now_ms >= next_start_ms_) return true;
  if (connecting_ != nullptr && transport_.has_connected(*connecting_)) return true;
  return !flights_.empty() && now_ms - published_at_ms_ >= kPublishEveryMs;
}

// Another process has committed: a submit, a resume, a cancel.
void Worker::notice_changes() {
  const std::int64_t version = db_.data_version();
  must_look_ |= version != seen_version_;
  seen_version_ = version;
}

void Worker::look() {
  notice_changes();
  if (must_look_ || clock_.now_ms() >= now_->prices.next_change_ms())
    now_->prices.refresh(clock_.now_ms());
  if (!must_look_) return;
  reload_agenda();
  std::vector<AttemptId> cut;
  for (const auto& [attempt, flight] : flights_) {
    const AgendaBatch* batch = agenda_.find(flight.claim.job.batch);
    if (batch != nullptr && batch->row.cut_at_ms) cut.push_back({attempt});
  }
  for (const AttemptId attempt : cut) transport_.cancel(attempt);
  for (Received& received : transport_.take_received()) replies_.push_back(std::move(received));
}

// Touches no reply: those that come in after settle_replies() belong to the next turn.
void Worker::reload_agenda() {
  must_look_ = false;
  dry_pusd_.clear();
  agenda_.reload(queue_.jobs(), options_.only_batch);
  caps_.follow(queue_.ledger(), clock_.now_ms());
  load_pauses();
}

void Worker::send_started() {
  for (HttpRequest& request : to_send_) transport_.start(std::move(request));
  to_send_.clear();
}

std::string Worker::waits_text() const {
  nlohmann::json waits = nlohmann::json::object();
  for (const auto& [batch, wait] : waits_) {
    waits[batch] = {{"reason", wait.reason}, {"until", wait.until_ms}};
  }
  return to_text(waits);
}

void Worker::publish(std::int64_t now_ms) {
  published_at_ms_ = now_ms;
  published_waits_ = waits_text();
  published_answers_ = answers_;
  queue_.ledger().publish_worker(id_, answers_, published_waits_, now_ms);
  std::string status = fmt::format("{} in flight, {} answered", flights_.size(), answers_);
  for (const auto& [batch, wait] : waits_) {
    status += fmt::format("; {}: {}", printable_line(batch), printable_line(wait.reason));
    if (status.size() > kMostStatusBytes) break;
  }
  notify_service("STATUS=" + status);
}

WorkerMetrics Worker::metrics() const {
  WorkerMetrics metrics = metrics_;
  metrics.in_flight = static_cast<int>(flights_.size());
  metrics.in_flight_limit = in_flight_limit_;
  for (const auto& [name, limits] : now_->provider_limits) {
    if (limits.pause) metrics.paused.push_back(name);
  }
  for (const auto& [key, lane] : now_->lanes) {
    if (lane->own_limits().pause) metrics.paused.push_back(key);
  }
  metrics.caps = caps_.uses(clock_.now_ms());
  metrics.is_stopping = stop_deadline_ms_.has_value();
  return metrics;
}

void Worker::plan_wake(std::int64_t now_ms) {
  const bool has_slot = !stop_deadline_ms_ && static_cast<int>(flights_.size()) < in_flight_limit_;
  next_wake_ms_ = now_ms + (flights_.empty() ? kIdleMs : kPublishEveryMs);
  if (has_slot) next_wake_ms_ = std::min(next_wake_ms_, next_start_ms_);
  if ((has_slot && has_more_) || (must_look_ && !stop_deadline_ms_)) next_wake_ms_ = now_ms;
  if (!replies_.empty()) next_wake_ms_ = now_ms;
  if (stop_deadline_ms_) next_wake_ms_ = std::min(next_wake_ms_, *stop_deadline_ms_);
  if (ends_at_ms_ && !stop_deadline_ms_) next_wake_ms_ = std::min(next_wake_ms_, *ends_at_ms_);
}

// A turn that could not write still has to come to an end.
void Worker::check_patience(std::int64_t now_ms) {
  if (!stop_deadline_ms_) return;
  next_wake_ms_ = std::min(next_wake_ms_, std::max(*stop_deadline_ms_, now_ms + kLockRetryMs));
  check_finished(now_ms);
}

void Worker::check_finished(std::int64_t now_ms) {
  if (ends_at_ms_ && now_ms >= *ends_at_ms_) stop();
  if (stop_deadline_ms_ && now_ms >= *stop_deadline_ms_ && !flights_.empty()) {
    stop_deadline_ms_ = kNeverMs;
    abort();
    turn();
    return;
  }
  if (!flights_.empty() || !replies_.empty()) return;
  const bool is_drained = options_.drain && !has_more_ && !must_look_ &&
                          next_unaided_start_ms_ > now_ms + kDrainHorizonMs;
  if (stop_deadline_ms_ || is_drained) end_life();
}

void Worker::stop() {
  if (stop_deadline_ms_) return;
  stop_deadline_ms_ = clock_.now_ms() + options_.stop_timeout_ms;
  next_wake_ms_ = 0;
}

void Worker::abort() {
  is_cutting_ = true;
  if (!stop_deadline_ms_) stop_deadline_ms_ = clock_.now_ms();
  std::vector<AttemptId> open;
  for (const auto& [attempt, flight] : flights_) open.push_back({attempt});
  for (const AttemptId attempt : open) transport_.cancel(attempt);
}

void Worker::end_life() {
  {
    Transaction transaction(db_);
    publish(clock_.now_ms());
    queue_.ledger().end_worker(id_, clock_.now_ms());
    transaction.commit();
  }
  // Else a WAL of up to 64 MiB would lie beside the store until the next life.
  db_.checkpoint_when_idle();
  is_finished_ = true;
}

}  // namespace docmill
