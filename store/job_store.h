#pragma once

// Batches, jobs and their texts: the rows, and the one statement for each thing that may be done
// to them. What may happen when is decided in queue/; every method runs in the caller's
// transaction.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "store/job_rows.h"
#include "store/ledger.h"
#include "store/pieces.h"
#include "store/statement.h"
#include "store/texts.h"

namespace docmill {

class JobStore {
 public:
  explicit JobStore(Database& db);

  BatchId insert_batch(const Batch& batch);
  std::optional<Batch> batch(const std::string& name);
  Batch batch(BatchId id);
  std::optional<Batch> find_batch(BatchId id);  // absent: drop_if_empty() has taken it
  std::vector<Batch> open_batches();            // not finished, in order of submission
  // Absent: a submit is adding to it, and it cannot finish.
  void set_sealed(BatchId id, std::optional<std::int64_t> at_ms);
  void set_paused(BatchId id, std::optional<std::int64_t> at_ms);
  void set_held(BatchId id, const std::optional<std::string>& reason);
  void set_cap(BatchId id, std::optional<std::int64_t> cap_pusd);
  // `cut`: requests in flight are ended, too.
  void set_cancelled(BatchId id, std::int64_t at_ms, std::optional<std::int64_t> cut_at_ms);
  void reopen(BatchId id);         // neither finished nor held any more
  bool drop_if_empty(BatchId id);  // nothing was ever queued in it
  void add_money(BatchId id, const MoneyChange& change);
  bool has_room(BatchId id, std::int64_t pusd);
  bool reserve(BatchId id, std::int64_t ceiling_pusd);  // false: its cap does not allow it
  // Marks the batch finished if it is sealed and none of its jobs can change any more.
  bool finish_if_ended(BatchId id, std::int64_t now_ms);

  // A document that the batch has with the same content stays as it is; with other content the new
  // job supersedes it. Throws UsageError when it comes from another source than before.
  Added add(BatchId batch, const NewJob& job, std::int64_t now_ms);
  // What add() would say; changes nothing.
  Added would_add(BatchId batch, const std::string& item_key, const std::string& content_hash);
  bool has_results();  // else nothing can be reused
  // The latest results of the same request, whose text has that hash, for the same tenant; a few.
  std::vector<Reusable> reusable(const std::string& request_hash, const std::string& content_hash,
                                 const std::string& tenant);
  std::vector<Job> ready(BatchId batch, int route, int position, int limit);
  // The ready jobs that may cost least: the usual output limit before a raised one, then by the
  // length of their texts. Walks them all: for when a cap is near, not for every turn.
  std::vector<Job> smallest_ready(BatchId batch, int route, int position, int limit);
  // The first of a thousand ready ones on which nothing has gone wrong yet.
  std::optional<Job> untried_ready(BatchId batch, int route, int position);
  int promote_due(std::int64_t now_ms, int limit);
  // When the first waiting job of a batch that may start is due. `only_batch` empty: of any.
  std::optional<std::int64_t> next_due(const std::string& only_batch);
  bool has_waiting(BatchId batch);
  // All results of the batch were handed out.
  void set_exported(BatchId id, std::int64_t at_ms);
  void set_pruned(BatchId id, std::int64_t at_ms);
  // Drops the result, and the text that no other job needs, of at most `limit` jobs of the batch
  // with ids above `after`. The jobs' rows stay.
  Pruned prune(BatchId batch, JobId after, JobId last, int limit);
  // No run_at lies further ahead than `latest_ms`, whatever the clock said when it was written.
  void clamp_due(std::int64_t latest_ms);
  // False when the job is no longer ready.
  bool set_running(JobId job, AttemptId attempt);
  // The fence: false when the job does not run under this attempt.
  bool leave_running(JobId job, AttemptId attempt, const JobChange& change);
  std::vector<std::pair<Job, AttemptId>> running();
  // One more death of the worker is blamed on a job that is ready or runs.
  void count_crash(JobId job);
  // Holds the job if it is ready and that many deaths are blamed on it.
  bool hold_after_crashes(JobId job, int max_crashes, const std::string& why);
  // A ready job moves along its chain, or fails, without a request. False: it is not ready.
  bool pass_over(JobId job, const JobChange& change);

  void put_output(JobId job, AttemptId attempt, const std::string& finish_reason,
                  const std::string& body);

  // All that do not run, the held ones included.
  int cancel_jobs(BatchId batch, std::int64_t now_ms);
  void set_spec(BatchId id, const std::string& spec);
  bool is_superseded(JobId job);
  Texts& texts() { return texts_; }
  PieceStore& pieces() { return pieces_; }

  void pause_provider(const std::string& provider, const std::string& reason, std::int64_t since_ms,
                      std::int64_t probe_at_ms);
  bool resume_provider(const std::string& provider);
  std::vector<ProviderPause> pauses();

 private:
  // What a batch has of a document.
  struct Versions {
    std::optional<JobId> same;  // with that content
    bool same_is_current = false;
    std::optional<std::string> current_source;  // absent: none speaks for it
  };
  Versions versions(BatchId batch, const std::string& item_key, const std::string& content_hash);
  JobId insert_job(BatchId batch, const NewJob& job, std::int64_t now_ms);
  // `by` becomes the one job that speaks for this document.
  void supersede(BatchId batch, const std::string& item_key, JobId by, std::int64_t now_ms);

  Database& db_;
  Texts texts_;
  PieceStore pieces_;
  Statement insert_batch_, batch_by_name_, batch_by_id_, open_batches_, set_sealed_, set_paused_,
      set_held_, set_cap_, set_cancelled_, reopen_, drop_empty_, finish_;
  Statement versions_, insert_job_, insert_extra_, any_result_, reusable_, mark_reused_,
      has_output_, copy_output_, supersede_, cancel_superseded_, revive_;
  Statement ready_, smallest_, untried_, promote_, next_due_, has_waiting_, clamp_due_,
      set_running_, leave_running_, running_, count_crash_, hold_crashed_, put_output_;
  Statement cancel_jobs_, set_spec_, is_superseded_, pause_provider_, resume_provider_, pauses_,
      pass_over_;
  Statement set_exported_, set_pruned_, prunable_, drop_output_, drop_extra_, drop_text_;
};

}  // namespace docmill
