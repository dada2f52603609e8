-- Long documents: pieces are jobs of their own, below the document's job.
--
--   document ready ──▶ blocked ──▶ done          the pieces' outputs joined
--                        │  └────▶ ready         ... or asked to be combined, as one more request
--                        └───────▶ failed        with the first piece that did
ALTER TABLE job ADD COLUMN root_id INTEGER REFERENCES job (id);     -- of a piece: the document's job
ALTER TABLE job ADD COLUMN piece_level INTEGER NOT NULL DEFAULT 0;  -- of a piece: which cutting of its parent it is of
ALTER TABLE job ADD COLUMN level INTEGER NOT NULL DEFAULT 0;        -- how often it was cut itself
ALTER TABLE job ADD COLUMN gap TEXT;                                -- of a piece: what stood between it and the next

CREATE INDEX job_pieces ON job (parent_id, piece_level, piece) WHERE parent_id IS NOT NULL;
CREATE INDEX job_by_root ON job (root_id) WHERE root_id IS NOT NULL;
-- Counts are of documents.
DROP INDEX job_by_state;
CREATE INDEX job_by_state ON job (batch_id, state, parent_id) WHERE superseded_by IS NULL;

-- A result that an earlier request was paid for, taken over by a document of another batch.
ALTER TABLE job ADD COLUMN reused_from INTEGER;                          -- the job that it was paid for
ALTER TABLE job ADD COLUMN saved_pusd INTEGER CHECK (saved_pusd >= 0);  -- what that has cost
CREATE INDEX job_by_request ON job (request_hash) WHERE state = 'done' AND length(request_hash) = 32;
