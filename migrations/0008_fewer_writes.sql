-- A drain writes less: an index saw each job's two states in flight, a statement that changes a
-- foreign key needs a journal of its own, and AUTOINCREMENT is a table of its own.

-- Counts, and whether a batch has ended: the states in which a job stays. Those that are ready are
-- counted by job_ready, those that run by attempt_open.
DROP INDEX job_by_state;
CREATE INDEX job_by_state ON job (batch_id, state, parent_id)
  WHERE superseded_by IS NULL AND state != 'ready' AND state != 'running';
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (batch_id, route, position, priority DESC, id, parent_id)
  WHERE state = 'ready';

-- A price's row is never deleted, and its id is the worker's own word. The other foreign keys of
-- attempt stay; they are set once. Its rows are never deleted either, so their ids do not come again
-- without AUTOINCREMENT. This is the way that SQLite documents for taking away what does not show in
-- the rows: https://sqlite.org/lang_altertable.html, section 7.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
  SET sql = replace(replace(sql, 'INTEGER REFERENCES price (id)', 'INTEGER'), ' AUTOINCREMENT', '')
  WHERE type = 'table' AND name = 'attempt';
PRAGMA writable_schema = RESET;
