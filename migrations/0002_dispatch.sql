-- What dispatch has learnt to record: the tier that served a request, the flex tier's own prices,
-- and an output limit that was raised for one job.

ALTER TABLE price ADD COLUMN flex_input_pusd INTEGER CHECK (flex_input_pusd >= 0);
ALTER TABLE price ADD COLUMN flex_cached_input_pusd INTEGER CHECK (flex_cached_input_pusd >= 0);
ALTER TABLE price ADD COLUMN flex_cache_write_input_pusd INTEGER
  CHECK (flex_cache_write_input_pusd >= 0);
ALTER TABLE price ADD COLUMN flex_output_pusd INTEGER CHECK (flex_output_pusd >= 0);

ALTER TABLE attempt ADD COLUMN service_tier TEXT;  -- as the reply says; NULL: it does not

-- What its job waited for before it was opened, when it waited for long; for `explain`.
ALTER TABLE attempt ADD COLUMN waited_for TEXT;

-- Tokens; NULL: what the task asks for.
ALTER TABLE job ADD COLUMN raised_output_tokens INTEGER CHECK (raised_output_tokens > 0);
