#pragma once

// A document as it is read: its text, or why it has none.

#include <cstdint>
#include <string>

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

}  // namespace docmill
