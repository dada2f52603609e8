#include "documents/format.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace docmill {
namespace {

struct NamedFormat {
  const char* name;
  Format format;
};
constexpr NamedFormat kFormats[] = {{"openai-batch", Format::openai_batch},
                                    {"text", Format::text},
                                    {"markdown", Format::text},
                                    {"jsonl", Format::jsonl},
                                    {"csv", Format::csv},
                                    {"tsv", Format::tsv},
                                    {"html", Format::html},
                                    {"pdf", Format::pdf},
                                    {"docx", Format::docx},
                                    {"odt", Format::odt},
                                    {"epub", Format::epub},
                                    {"rtf", Format::rtf}};

constexpr NamedFormat kExtensions[] = {
    {".jsonl", Format::jsonl}, {".ndjson", Format::jsonl}, {".csv", Format::csv},
    {".tsv", Format::tsv},     {".html", Format::html},    {".htm", Format::html},
    {".xhtml", Format::html},  {".pdf", Format::pdf},      {".docx", Format::docx},
    {".odt", Format::odt},     {".epub", Format::epub},    {".rtf", Format::rtf}};

// By their first bytes: what would be sent to a model as noise. (Wikipedia: List of file
// signatures.)
struct Signature {
  std::string_view bytes;
  const char* what;
};
constexpr Signature kUnread[] = {
    {"\x89PNG", "a picture (PNG)"},
    {"\xff\xd8\xff", "a picture (JPEG)"},
    {"GIF8", "a picture (GIF)"},
    {"II*\0", "a picture (TIFF)"},
    {"MM\0*", "a picture (TIFF)"},
    {"\x1f\x8b", "compressed (gzip)"},
    {"BZh", "compressed (bzip2)"},
    {"\xfd"
     "7zXZ",
     "compressed (xz)"},
    {"7z\xbc\xaf", "an archive (7z)"},
    {"Rar!", "an archive (RAR)"},
    {"\x7f"
     "ELF",
     "a program"},
    {"SQLite format 3", "a database (SQLite)"},
    {"\xd0\xcf\x11\xe0",
     "an old Office file; convert it first: libreoffice --headless --convert-to docx FILE"}};

// A ZIP's first entry of an EPUB or ODT is its type, uncompressed (OCF 3.3, ODF 1.2 part 3).
Sniffed sniff_zip(std::string_view head) {
  if (head.find("mimetypeapplication/epub+zip") != std::string_view::npos) {
    return {Format::epub, ""};
  }
  if (head.find("mimetypeapplication/vnd.oasis.opendocument.text") != std::string_view::npos) {
    return {Format::odt, ""};
  }
  if (head.find("word/") != std::string_view::npos) return {Format::docx, ""};
  if (head.find("xl/") != std::string_view::npos) {
    return {std::nullopt, "a spreadsheet; save it as CSV first"};
  }
  if (head.find("ppt/") != std::string_view::npos) {
    return {std::nullopt, "a presentation; save it as PDF first"};
  }
  if (head.find("[Content_Types].xml") != std::string_view::npos) return {Format::docx, ""};
  return {std::nullopt, "an archive (ZIP); unpack it first"};
}

bool begins_as_html(std::string_view head) {
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  const std::string start = lower_ascii(trimmed(head).substr(0, 512));
  return start.starts_with("<!doctype html") || start.starts_with("<html") ||
         (start.starts_with("<?xml") && start.find("<html") != std::string::npos);
}

}  // namespace

std::optional<Format> format_named(std::string_view name) {
  for (const NamedFormat& one : kFormats) {
    if (name == one.name) return one.format;
  }
  return std::nullopt;
}

std::string format_names() {
  std::string names;
  for (const NamedFormat& one : kFormats)
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  return names;
}

Format format_by_extension(std::string_view extension) {
  const auto found = std::find_if(std::begin(kExtensions), std::end(kExtensions),
                                  [&](const NamedFormat& one) { return extension == one.name; });
  return found == std::end(kExtensions) ? Format::text : found->format;
}

bool is_plain(Format format) {
  return format == Format::text || format == Format::openai_batch || format == Format::jsonl ||
         format == Format::csv || format == Format::tsv;
}

Sniffed sniff(std::string_view head) {
  if (head.substr(0, 1024).find("%PDF-") != std::string_view::npos) return {Format::pdf, ""};
  if (head.starts_with("PK\x03\x04")) return sniff_zip(head);
  if (head.starts_with("{\\rtf")) return {Format::rtf, ""};
  if (begins_as_html(head)) return {Format::html, ""};
  for (const Signature& signature : kUnread) {
    if (head.starts_with(signature.bytes)) return {std::nullopt, signature.what};
  }
  return {};
}

}  // namespace docmill
