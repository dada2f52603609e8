#pragma once

// Documents out of files, folders and stdin, one at a time, in a stable order. What cannot be read
// is a document too, with the reason: nothing is dropped.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "queue/job_queue.h"

namespace docmill {

inline constexpr std::int64_t kMaxDocumentBytes = 64 << 20;

struct Document {
  std::string id;      // the path from INPUT's last name on, or the record's own id
  std::string source;  // the file's absolute path, or "-"
  std::string text;
  std::string extra;  // a JSON object's text, or empty
  std::string route;  // the record's own wish, or empty
  std::string error;  // not empty: it could not be read, and why
};

enum class InputFormat { by_name, text, jsonl };

// Calls `take` for every document of the inputs ("-" is stdin; at most once). Throws UsageError
// when an input is not there, or one id comes from two places of this call.
void read_documents(const std::vector<std::string>& inputs, InputFormat format,
                    const std::function<void(Document)>& take);

// The document as the queue takes it.
// What tells one version of a document from another: 32 bytes.
std::string content_hash(const Document& document);

NewJob new_job(Document document, std::int64_t priority, int route);

}  // namespace docmill
