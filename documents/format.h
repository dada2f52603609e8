#pragma once

// What kind of file something is: by its name, and by how its bytes begin where the two differ.

#include <optional>
#include <string>
#include <string_view>

namespace docmill {

enum class Format { text, openai_batch, jsonl, csv, tsv, html, pdf, docx, odt, epub, rtf };

// As --input-format names it ("markdown" is text); nothing for another word.
std::optional<Format> format_named(std::string_view name);
// All of those, for messages.
std::string format_names();

// By the extension, in lower case and with its dot. Text for what is not known.
Format format_by_extension(std::string_view extension);

// A file that is read whole, as text, lines or records; the others go through a program.
bool is_plain(Format format);

struct Sniffed {
  std::optional<Format> format;  // the bytes say so; nothing: they may be text
  std::string unread;            // not empty: what it is, and that it cannot be read
};
// From the first few thousand bytes.
Sniffed sniff(std::string_view head);

}  // namespace docmill
