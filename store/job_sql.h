#pragma once

// SQL that several statements share.

// What several statements read, in the one order that read_batch() and read_job() know.
#define BATCH_COLUMNS                                                                          \
  "id, name, task, tenant, spec, cap_pusd, spent_pusd, reserved_pusd, created_at, sealed_at, " \
  "paused_at, held_reason, cancelled_at, cut_at, finished_at, coalesce(paused_reason, ''), "   \
  "exported_at, pruned_at"
#define JOB_COLUMNS                                                                         \
  "id, batch_id, input_id, text_bytes, priority, route, position, tries, unsure, crashes, " \
  "requests, requests_before, created_at, raised_output_tokens, parent_id, piece, level, "  \
  "piece_level, coalesce(error_class, ''), coalesce(error_message, '')"

// The states that job_by_state holds: those in which a job stays. SQLite uses a partial index only
// where a query repeats its condition.
#define STAYS "state != 'ready' AND state != 'running'"

// The jobs that run, found by their open attempts; the job is `j`.
#define RUNNING_JOBS                                                       \
  "attempt a INDEXED BY attempt_open CROSS JOIN job j ON j.id = a.job_id " \
  "AND a.settled_at IS NULL AND j.attempt_id = a.id AND j.state = 'running'"
