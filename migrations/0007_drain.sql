-- A drain writes each job's row three times, and each index that knows its state with it.

-- What may be reused is found through its text, which has an index already; hashes as keys would
-- touch another page for each job that is done.
DROP INDEX job_by_request;
CREATE INDEX job_answered ON job (input_id)
  WHERE state = 'done' AND reused_from IS NULL AND parent_id IS NULL;

-- A running job is that of an open attempt.
DROP INDEX job_running;
