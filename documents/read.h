#pragma once

// Documents out of files, folders and stdin, one at a time, in a stable order. What cannot be read
// is a document too, with the reason: nothing is dropped.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "documents/document.h"
#include "documents/format.h"
#include "documents/records.h"

namespace docmill {

struct ReadOptions {
  std::optional<Format> format;       // of every file; absent: by its name and its first bytes
  std::vector<std::string> excludes;  // patterns of names, or of ids when they have a slash
  std::string encoding;               // of text files; empty: find out
  RecordOptions records;
  bool allow_blank_pages = false;
};

// Calls `take` for every document of the inputs ("-" is stdin; at most once). An input that is not
// there may be a pattern ("scans/*.pdf"). Hidden files are skipped, links to folders not followed.
// Throws UsageError when an input is not there, or one id comes from two places of this call.
void read_documents(const std::vector<std::string>& inputs, const ReadOptions& options,
                    const std::function<void(Document)>& take);

}  // namespace docmill
