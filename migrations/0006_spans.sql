-- Where in the text of the job above a piece begins, in bytes; an extraction's pieces overlap.
ALTER TABLE job ADD COLUMN begin_at INTEGER CHECK (begin_at >= 0);
