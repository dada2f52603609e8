-- Never edit a migration that has shipped; add the next number. Times are ms since 1970 UTC, money
-- is pico-USD (1e-12 USD), prices are pico-USD per token. No JSON functions: with trusted_schema
-- off SQLite 3.40.1 refuses them in a schema. No IN with more than two values in a CHECK of job or
-- attempt: SQLite builds a temporary index for it at every write (measured: half of a claim's CPU).

-- One row for each life of a worker process. What `status` shows is published here.
CREATE TABLE worker (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  pid        INTEGER NOT NULL,
  version    TEXT    NOT NULL,
  started_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  answers    INTEGER NOT NULL DEFAULT 0 CHECK (answers >= 0),  -- settled in this life
  waits      TEXT    NOT NULL DEFAULT '',                      -- published: what binds, per batch
  ended_at   INTEGER,
  end_reason TEXT CHECK (end_reason IN ('clean', 'crash')),
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;

-- Immutable dated rows, written by the worker alone. An attempt points at the row that priced it.
CREATE TABLE price (
  id                     INTEGER PRIMARY KEY AUTOINCREMENT,
  provider               TEXT    NOT NULL,
  model                  TEXT    NOT NULL,  -- as the config names it: two may ask for one name
  effective_at           INTEGER NOT NULL,
  source                 TEXT    NOT NULL,
  input_pusd             INTEGER NOT NULL CHECK (input_pusd >= 0),
  cached_input_pusd      INTEGER NOT NULL CHECK (cached_input_pusd >= 0),
  cache_write_input_pusd INTEGER NOT NULL CHECK (cache_write_input_pusd >= 0),
  output_pusd            INTEGER NOT NULL CHECK (output_pusd >= 0),
  UNIQUE (provider, model, effective_at)
) STRICT;

-- A provider to which every further request would fail alike. Deleting the row asks it again.
CREATE TABLE provider_pause (
  provider  TEXT    PRIMARY KEY,
  since     INTEGER NOT NULL,
  probe_at  INTEGER NOT NULL,
  reason    TEXT    NOT NULL
) STRICT;

-- Prompts, schema, parameters and chains are frozen in `spec` at submit.
CREATE TABLE batch (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT    NOT NULL UNIQUE,
  task          TEXT    NOT NULL,
  tenant        TEXT    NOT NULL,
  spec          TEXT    NOT NULL,
  cap_pusd      INTEGER CHECK (cap_pusd >= 0),
  spent_pusd    INTEGER NOT NULL DEFAULT 0 CHECK (spent_pusd >= 0),     -- sum of the ledger's costs
  reserved_pusd INTEGER NOT NULL DEFAULT 0 CHECK (reserved_pusd >= 0),  -- ceilings open or unknown
  created_at    INTEGER NOT NULL,
  sealed_at     INTEGER,      -- NULL: a submit is under way, or was cut off
  paused_at     INTEGER,
  held_reason   TEXT,         -- why a person is needed, with the number to act on
  cancelled_at  INTEGER,
  cut_at        INTEGER,      -- cancel --now: what is in flight is cut, too
  finished_at   INTEGER,
  CHECK (cut_at IS NULL OR cancelled_at IS NOT NULL)
) STRICT;
CREATE INDEX batch_open ON batch (id) WHERE finished_at IS NULL;

-- Texts by their SHA-256, once for all batches.
CREATE TABLE job_input (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  body TEXT NOT NULL
) STRICT;

-- Hot and small; the texts are elsewhere.
CREATE TABLE job (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,  -- also the order of submission; never reused
  batch_id       INTEGER NOT NULL REFERENCES batch (id),
  item_key       TEXT    NOT NULL,                   -- the document's id
  content_hash   BLOB    NOT NULL CHECK (length(content_hash) = 32),
  source         TEXT    NOT NULL,
  input_id       INTEGER REFERENCES job_input (id),  -- NULL: it could not be read, or was pruned
  text_bytes     INTEGER NOT NULL CHECK (text_bytes >= 0),
  parent_id      INTEGER REFERENCES job (id),
  piece          INTEGER,
  priority       INTEGER NOT NULL,
  route          INTEGER NOT NULL CHECK (route >= 0),     -- which chain of the batch's spec
  position       INTEGER NOT NULL CHECK (position >= 0),  -- where on that chain
  state          TEXT    NOT NULL CHECK (
    state = 'ready' OR state = 'waiting' OR state = 'blocked' OR state = 'running' OR
    state = 'held' OR state = 'done' OR state = 'failed' OR state = 'cancelled'),
  run_at         INTEGER,
  tries          INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),     -- on this model
  unsure         INTEGER NOT NULL DEFAULT 0 CHECK (unsure >= 0),    -- on this model, maybe billed
  crashes        INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),   -- of the worker, blamed on it
  requests       INTEGER NOT NULL DEFAULT 0 CHECK (requests >= 0),  -- attempts ever opened
  requests_before INTEGER NOT NULL DEFAULT 0,                       -- of those, before `retry`
  attempt_id     INTEGER,                                           -- the fence
  request_hash   BLOB,
  superseded_by  INTEGER REFERENCES job (id),  -- the same document, submitted again with other text
  error_class    TEXT,
  error_message  TEXT,
  created_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  UNIQUE (batch_id, item_key, content_hash),
  -- What each state promises. A bug that breaks one fails here, at the write.
  CHECK ((state = 'running') = (attempt_id IS NOT NULL)),
  CHECK ((state = 'waiting') = (run_at IS NOT NULL)),
  CHECK ((state = 'done' OR state = 'failed' OR state = 'cancelled') = (finished_at IS NOT NULL)),
  CHECK ((state != 'failed' AND state != 'held') OR error_class IS NOT NULL),
  CHECK (input_id IS NOT NULL OR finished_at IS NOT NULL)
) STRICT;

-- Claiming walks this index from its start and stops at the limit. Partial, so its size follows
-- the backlog, not the history.
CREATE INDEX job_ready ON job (batch_id, route, position, priority DESC, id) WHERE state = 'ready';
CREATE INDEX job_due ON job (run_at) WHERE state = 'waiting';
CREATE INDEX job_running ON job (id) WHERE state = 'running';
-- Counts, and whether a batch has ended.
CREATE INDEX job_by_state ON job (batch_id, state) WHERE superseded_by IS NULL;
CREATE INDEX job_superseded ON job (superseded_by) WHERE superseded_by IS NOT NULL;

-- Keys of a JSONL line that are not ours; they come back in the result.
CREATE TABLE job_extra (
  job_id INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
  extra  TEXT NOT NULL
) STRICT;

CREATE TABLE job_output (
  job_id        INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
  attempt_id    INTEGER NOT NULL,  -- the attempt that answered
  finish_reason TEXT    NOT NULL,
  body          TEXT    NOT NULL
) STRICT;

-- The ledger. A row is on disk before its request is sent, and it has no foreign key to job: the
-- record of money outlives a pruned job.
CREATE TABLE attempt (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id        INTEGER NOT NULL,
  batch_id      INTEGER NOT NULL REFERENCES batch (id),
  number        INTEGER NOT NULL CHECK (number > 0),
  worker_id     INTEGER NOT NULL REFERENCES worker (id),
  kind          TEXT    NOT NULL CHECK (kind = 'first' OR kind = 'retry' OR kind = 'fallback'),
  route         TEXT    NOT NULL,
  provider      TEXT    NOT NULL,
  model         TEXT    NOT NULL,  -- as the config names it
  model_asked   TEXT    NOT NULL,  -- as the provider names it
  opened_at     INTEGER NOT NULL,
  request_bytes INTEGER NOT NULL,
  max_output_tokens INTEGER NOT NULL,
  ceiling_pusd  INTEGER CHECK (ceiling_pusd >= 0),  -- the most it can cost; NULL: unpriced
  ceiling_price_id INTEGER REFERENCES price (id),

  settled_at    INTEGER,
  outcome       TEXT,              -- 'answered', or the class of the failure
  error_message TEXT,
  http_status   INTEGER,
  provider_request_id TEXT,
  model_returned TEXT,
  finish_reason TEXT,
  -- Usage in buckets that do not overlap: input = fresh + cached + cache_write.
  fresh_tokens       INTEGER CHECK (fresh_tokens >= 0),
  cached_tokens      INTEGER CHECK (cached_tokens >= 0),
  cache_write_tokens INTEGER CHECK (cache_write_tokens >= 0),
  output_tokens      INTEGER CHECK (output_tokens >= 0),
  reasoning_tokens   INTEGER CHECK (reasoning_tokens >= 0),  -- within output_tokens
  usage_json    TEXT,
  price_id      INTEGER REFERENCES price (id),
  cost_pusd     INTEGER CHECK (cost_pusd >= 0),
  -- usage: priced usage. zero: not billed. unknown: may be billed, up to the ceiling. unpriced:
  -- usage without a price. The rest are a person's word (settle) or an estimate.
  cost_basis    TEXT CHECK (
    cost_basis = 'usage' OR cost_basis = 'zero' OR cost_basis = 'unknown' OR
    cost_basis = 'unpriced' OR cost_basis = 'provider' OR cost_basis = 'estimate' OR
    cost_basis = 'ceiling' OR cost_basis = 'manual'),
  first_byte_ms INTEGER,
  total_ms      INTEGER,
  provider_ms   INTEGER,

  UNIQUE (job_id, number),
  CHECK ((settled_at IS NULL) = (outcome IS NULL)),
  CHECK ((settled_at IS NULL) = (cost_basis IS NULL)),
  CHECK ((cost_pusd IS NULL) =
         (cost_basis IS NULL OR cost_basis = 'unknown' OR cost_basis = 'unpriced')),
  CHECK (cost_basis IS NOT 'usage' OR (price_id IS NOT NULL AND fresh_tokens IS NOT NULL))
) STRICT;
CREATE INDEX attempt_open ON attempt (id) WHERE settled_at IS NULL;
CREATE INDEX attempt_unknown ON attempt (batch_id, id) WHERE cost_basis = 'unknown';
CREATE INDEX attempt_by_batch ON attempt (batch_id, id);
