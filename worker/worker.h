#pragma once

// The worker's turn. One thread owns the database and decides; the network is behind Transport.
//
//   settle what has come back     judge → Outcome → decide() → Decision
//   start what may start          lanes and caps grant k requests; exactly k jobs are claimed
//   commit                        settles, claims and k ledger rows in one transaction
//   send                          the k requests go out, only now
//   wait                          until a reply, a deadline, a signal or a nudge
//
// Replies gather while a commit waits for the disk. A turn takes half of the pool at most: the
// network has the other half. No prefetch: an open ledger row means "may have been sent".

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "llm/reply.h"
#include "llm/request.h"
#include "queue/brake.h"
#include "queue/job_queue.h"
#include "store/database.h"
#include "worker/agenda.h"
#include "worker/caps.h"
#include "worker/generation.h"
#include "worker/metrics.h"
#include "worker/options.h"
#include "worker/transport.h"

namespace docmill {

class Worker {
 public:
  // Takes over the store: recovers what the last worker left, then announces itself in `lock`. All
  // must outlive the worker.
  Worker(Database& db, WorkerLock& lock, const Clock& clock, Transport& transport,
         WorkerSetup setup, WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;

  // Until stop(), or, when draining, until nothing is left that can start soon. `after_wait` is
  // called after each wait, to read what the outside world said.
  void run(const std::function<void()>& after_wait);

  void turn();
  // Claims nothing more; keeps what is in flight until it has answered or stop_timeout passes.
  void stop();
  // Ends what is in flight, too: those attempts are recorded as unknown.
  void abort();
  // Another config, from the next turn on: limits, keys, prices and pauses. What flies ends as it
  // began. --drain, --batch and the jitter stay as they are. Throws UsageError, and nothing has
  // changed, when a tokenizer's file is none. All must outlive the worker, or may go once
  // has_retired() is false.
  void reload(WorkerSetup setup, const WorkerOptions& options);
  bool has_retired() const { return !retired_.empty(); }

  // run() comes back to `after_wait` by then; forgotten once it has.
  void wake_at(std::int64_t time_ms) { asked_wake_ms_ = std::min(asked_wake_ms_, time_ms); }

  bool is_finished() const { return is_finished_; }
  std::int64_t next_wake_ms() const { return next_wake_ms_; }
  std::int64_t answers() const { return answers_; }
  const Recovered& recovered() const { return recovered_; }
  WorkerMetrics metrics() const;

 private:
  struct Flight {
    Claim claim;
    Generation* generation = nullptr;
    Lane* lane = nullptr;
    const Provider* provider = nullptr;
    const BatchSpec* spec = nullptr;
    std::string tenant;
    Form form;
    Departure departure;
  };
  struct Wait {
    std::string reason;
    std::int64_t until_ms = 0;
  };
  struct Blocked {
    std::string reason;
    std::int64_t since_ms = 0;
    std::int64_t ended_ms = 0;  // 0: it still is
  };
  struct Capped {
    std::int64_t needed_pusd = 0;  // by the smallest job that was seen
    bool has_unsearched = false;   // feeds in which smaller ones may be
  };
  enum class Start { started, blocked, skipped };

  void take_over(WorkerSetup setup);
  void carry(const Flight& flight, void (Limits::*note)());
  void free_retired();
  void notice_changes();
  void look();
  void reload_agenda();
  bool has_work(std::int64_t now_ms);
  std::size_t settle_replies();
  void settle(Flight& flight, Received& received);
  bool is_own_fault(const Flight& flight, const DecodedReply& decoded) const;
  std::optional<Answer> judge(const Flight& flight, Received& received);
  void after_settle(const Flight& flight, const DecodedReply& decoded, const Settled& settled,
                    const RateHints& hints);
  void end_pauses(const Flight& flight, const Outcome& outcome, const Settled& settled);
  void note_ended();
  void follow_pieces(const Flight& flight, const Outcome& outcome, Move move);
  void note_end(BatchId batch, const BatchSpec& spec, const std::string& error_class);
  void wait_for_lock(std::int64_t now_ms);
  bool has_room_to_write(std::int64_t now_ms);
  void wait_for_disk(std::int64_t wanted_bytes);
  void note_full_pool();
  bool crowds_out(const Provider& provider) const;
  void start_due_jobs();
  Start start_head(Feed& feed);
  std::optional<Refusal> refusal_at(const Feed& feed, const Link& link, bool is_last);
  Start start_on(Feed& feed, Job job, int position, Lane& lane);
  std::string unbounded_in(const AgendaBatch& batch, const ChatRequest& request) const;
  Start pass_over(Feed& feed, const Job& job, int position, const TokenCount& input,
                  const Model& model);
  Start fail_unsent(Feed& feed, const Job& job, const std::string& error, const std::string& why);
  Start send_on(Feed& feed, const Job& job, const ClaimTerms& terms, EncodedRequest encoded,
                Lane& lane);
  Onward onward_from(const Route& route, int position, const Job& job, const ChatRequest& request);
  std::string waited_for(const Feed& feed, const Job& job) const;
  std::string cap_problem(const AgendaBatch& batch, const Model& model) const;
  Start hold_unbounded(Feed& feed, const std::string& problem);
  void turn_to_untried(Feed& feed, const Lane& lane);
  bool turn_to_smallest(Feed& feed, std::int64_t left_pusd);
  Start meet_period_cap(Feed& feed, const Caps::Refusal& refusal);
  Start meet_cap(Feed& feed, std::int64_t needed_pusd);
  void hold_at_caps();
  Start block(Feed& feed, const Refusal& refusal);
  void wake_for(const Refusal& refusal);
  void send_started();
  void pause(Limits& limits, const std::string& key, const std::string& reason);
  void load_pauses();
  void probe_soon();
  std::string waits_text() const;
  void publish(std::int64_t now_ms);
  void plan_wake(std::int64_t now_ms);
  void check_patience(std::int64_t now_ms);
  void check_finished(std::int64_t now_ms);
  void end_life();
  double random() { return std::uniform_real_distribution<double>(0, 1)(jitter_); }

  Database& db_;
  WorkerLock& lock_;
  const Clock& clock_;
  Transport& transport_;
  WorkerOptions options_;
  JobQueue queue_;
  std::unique_ptr<Generation> now_;
  std::vector<std::unique_ptr<Generation>> retired_;  // requests of theirs fly
  Agenda agenda_;
  Caps caps_;
  std::map<BatchId, Brake> brakes_;
  std::set<std::string> have_answered_;           // providers, in this life
  std::map<std::int64_t, Flight> flights_;        // by attempt; open in the ledger
  std::vector<Received> replies_;                 // until their settling is on disk
  std::vector<HttpRequest> to_send_;              // until their claims are on disk
  std::map<std::string, Wait> waits_;             // by batch name: why nothing starts
  std::map<BatchId, Capped> capped_;              // in this turn: nothing more fits
  std::set<BatchId> busy_;                        // in this turn: waits for something else
  std::map<FeedKey, std::int64_t> behind_since_;  // feeds whose lane is busy, and since when
  std::map<FeedKey, std::int64_t> behind_now_;    // the same, as far as this turn has seen
  std::map<FeedKey, Blocked> blocked_;            // what each feed waited for last, and since when
  std::map<FeedKey, std::int64_t> dry_pusd_;      // what a cap had left when nothing fitted into it
  std::mt19937_64 jitter_;
  WorkerId id_;
  Recovered recovered_;
  int in_flight_limit_ = 1;
  std::int64_t answers_ = 0, published_answers_ = 0;
  WorkerMetrics metrics_;
  std::int64_t commit_us_ = 0;  // what the last turns' commits took
  std::int64_t seen_version_ = -1;
  std::int64_t published_at_ms_ = 0;
  std::string published_waits_;
  std::int64_t next_start_ms_ = 0;          // nothing that waits can start before this
  std::int64_t next_unaided_start_ms_ = 0;  // the same, for what needs no person
  std::int64_t next_wake_ms_ = 0, asked_wake_ms_ = kNeverMs;
  std::optional<std::int64_t> stop_deadline_ms_, ends_at_ms_;
  const Provider* connecting_ = nullptr;  // what could start waits for the first connection to it
  std::int64_t lock_wanted_since_ms_ = 0, lock_wait_told_ms_ = 0;  // 0: it was free
  bool is_disk_full_ = false;
  bool is_cutting_ = false;  // abort() was called: what can be written is written, full disk or not
  bool must_look_ = true;
  bool has_more_ = false;  // the last turn left something that could start at once
  bool is_finished_ = false;
};

}  // namespace docmill
