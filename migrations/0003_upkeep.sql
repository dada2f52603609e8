-- Copies, exports and pruning: what became of a batch after its documents had ended.

ALTER TABLE batch ADD COLUMN paused_reason TEXT;   -- NULL: a person paused it
ALTER TABLE batch ADD COLUMN exported_at   INTEGER;  -- all of its results were handed out
ALTER TABLE batch ADD COLUMN pruned_at     INTEGER;  -- its texts and results were dropped

-- Who still needs a text, when another job that had the same is pruned.
CREATE INDEX job_by_input ON job (input_id) WHERE input_id IS NOT NULL;
-- Counting what has no price must not read a whole ledger.
CREATE INDEX attempt_unpriced ON attempt (batch_id) WHERE cost_basis = 'unpriced';
