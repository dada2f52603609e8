-- Each write of a row opens every index that its columns may touch, also where nothing of it gets in.

-- job_by_input finds what job_answered did, with a few rows more to look at where a text was queued
-- several times.
DROP INDEX job_answered;

-- One for both: what costs nobody knows how much.
DROP INDEX attempt_unknown;
DROP INDEX attempt_unpriced;
CREATE INDEX attempt_unsure ON attempt (batch_id, cost_basis)
  WHERE cost_basis = 'unknown' OR cost_basis = 'unpriced';
