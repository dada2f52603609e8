#pragma once

// Bytes into UTF-8 text. A byte order mark is obeyed, valid UTF-8 is taken as it is, and for the
// rest the encoding is guessed, if there is enough to guess from.

#include <string>
#include <string_view>

namespace docmill {

struct Decoded {
  std::string text;
  std::string error;  // not empty: there is no text, and why
};

// `encoding`: what the user says it is ("windows-1252"); empty: find out. Throws UsageError for an
// encoding that nobody knows.
Decoded decode_text(std::string bytes, const std::string& encoding);

}  // namespace docmill
