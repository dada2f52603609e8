-- Prices from lists beside those of the config, with tiers, sizes and hours; what the provider
-- itself says that a request cost; how good the estimate of its tokens was.
--
-- `price` is rebuilt, so foreign keys are off meanwhile (store/migrations.cc) and checked after.

CREATE TABLE price_of_4 (
  id                     INTEGER PRIMARY KEY AUTOINCREMENT,
  provider               TEXT    NOT NULL,  -- of the config; of a list, as the list names it
  model                  TEXT    NOT NULL,  -- as the config names it; of a list, as the list does
  effective_at           INTEGER NOT NULL,
  -- config: written by the worker when it changes. set, import: by docmill prices. snapshot: came
  -- with the program.
  origin                 TEXT    NOT NULL CHECK (
    origin = 'config' OR origin = 'set' OR origin = 'import' OR origin = 'snapshot'),
  source                 TEXT    NOT NULL,
  input_pusd             INTEGER NOT NULL CHECK (input_pusd >= 0),
  cached_input_pusd      INTEGER NOT NULL CHECK (cached_input_pusd >= 0),
  cache_write_input_pusd INTEGER NOT NULL CHECK (cache_write_input_pusd >= 0),
  cache_write_1h_input_pusd INTEGER NOT NULL CHECK (cache_write_1h_input_pusd >= 0),
  output_pusd            INTEGER NOT NULL CHECK (output_pusd >= 0)
) STRICT;

-- What a request costs instead, where all that its row names is true of it.
CREATE TABLE price_variant (
  price_id               INTEGER NOT NULL REFERENCES price (id),
  service_tier           TEXT    NOT NULL,  -- '': any
  above_tokens           INTEGER NOT NULL CHECK (above_tokens >= 0),  -- the input is larger
  hours                  TEXT    NOT NULL,  -- UTC, as store/hours.h reads them; '': always
  input_pusd             INTEGER NOT NULL CHECK (input_pusd >= 0),
  cached_input_pusd      INTEGER NOT NULL CHECK (cached_input_pusd >= 0),
  cache_write_input_pusd INTEGER NOT NULL CHECK (cache_write_input_pusd >= 0),
  cache_write_1h_input_pusd INTEGER NOT NULL CHECK (cache_write_1h_input_pusd >= 0),
  output_pusd            INTEGER NOT NULL CHECK (output_pusd >= 0),
  PRIMARY KEY (price_id, service_tier, above_tokens, hours)
) STRICT, WITHOUT ROWID;

INSERT INTO price_of_4 SELECT id, provider, model, effective_at, 'config', source, input_pusd,
  cached_input_pusd, cache_write_input_pusd, cache_write_input_pusd, output_pusd FROM price;
INSERT INTO price_variant SELECT id, 'flex', 0, '', flex_input_pusd, flex_cached_input_pusd,
  flex_cache_write_input_pusd, flex_cache_write_input_pusd, flex_output_pusd
  FROM price WHERE flex_input_pusd IS NOT NULL;
DROP TABLE price;
ALTER TABLE price_of_4 RENAME TO price;
CREATE INDEX price_by_model ON price (provider, model, effective_at);

-- Within cache_write_tokens: those that are kept for an hour, at a rate of their own.
ALTER TABLE attempt ADD COLUMN cache_write_1h_tokens INTEGER CHECK (cache_write_1h_tokens >= 0);
-- What the provider says that it charged. cost_basis = 'provider': this is the cost.
ALTER TABLE attempt ADD COLUMN reported_pusd INTEGER CHECK (reported_pusd >= 0);
-- The input as it was estimated before sending, uncorrected.
ALTER TABLE attempt ADD COLUMN estimated_tokens INTEGER CHECK (estimated_tokens >= 0);
