#pragma once

// Files of many documents: JSONL and CSV, read in blocks, so that a file of any size takes the
// memory of its longest record.

#include <cstdio>
#include <functional>
#include <string>

#include "documents/document.h"

namespace docmill {

struct RecordOptions {
  std::string text_column = {};  // CSV; empty: "text", "content", "body", or the only column
  std::string id_column = {};    // CSV; empty: "id", if there is one, else the row's number
};

// Where records come from: `id` stands before a line's number where the record has no id.
struct RecordFile {
  std::FILE* stream = nullptr;
  std::string id;
  std::string source;
};

// A JSON object a line: "id", "text", "route"; other keys come back as extra. Throws WorldError
// when the file cannot be read on.
void read_jsonl(const RecordFile& file, const std::function<void(Document)>& take);

// OpenAI's batch input, {"custom_id", "method", "url", "body"} a line: the id is custom_id, the
// text is the body's own bytes. (platform.openai.com, Batch API reference.)
void read_openai_batch(const RecordFile& file, const std::function<void(Document)>& take);

// The first row names the columns; those that are neither text nor id come back as extra.
// `separator` is ',' or a tab; a file whose header has semicolons only is read by those. Throws
// UsageError when no column is the text, naming those that there are.
void read_csv(const RecordFile& file, char separator, const RecordOptions& options,
              const std::function<void(Document)>& take);

}  // namespace docmill
