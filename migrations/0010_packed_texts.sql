-- A text may be kept as a zstd frame, which is a BLOB; what is TEXT is the text itself. The rows that
-- are there stay as they are, so this is the way of SQLite's lang_altertable.html, section 7, again.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'body TEXT NOT NULL', 'body ANY  NOT NULL')
  WHERE type = 'table' AND name = 'job_input';
PRAGMA writable_schema = RESET;
