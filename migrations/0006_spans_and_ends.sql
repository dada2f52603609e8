-- Where in the text of the job above a piece begins, in bytes; an extraction's pieces overlap.
ALTER TABLE job ADD COLUMN begin_at INTEGER CHECK (begin_at >= 0);

-- When [worker] on_finish ran for the end of the batch; a batch that goes on has another end.
ALTER TABLE batch ADD COLUMN told_at INTEGER;
UPDATE batch SET told_at = finished_at;
CREATE INDEX batch_untold ON batch (id)
  WHERE finished_at IS NOT NULL AND (told_at IS NULL OR told_at < finished_at);
