#pragma once

// PDF, office files and web pages into text, by the programs that do it well. Each runs as a child:
// never through a shell, with no key in its environment, within limits of time, memory and output.
// What breaks it costs one document.

#include <filesystem>
#include <string>
#include <vector>

#include "documents/decode.h"
#include "documents/format.h"

namespace docmill {

// `format` is not plain. Markdown where the file has structure; a page's end is a blank line.
// `allow_blank_pages`: a PDF with pages without text (scanned, mostly) is taken without them.
Decoded convert(Format format, const std::filesystem::path& file, bool allow_blank_pages);

struct Converter {
  std::string program, package;
  std::string reads;  // for people
  bool is_here = false;
};
std::vector<Converter> converters();

}  // namespace docmill
