#pragma once

// What a translation must leave as it is: headings, code blocks, links and placeholders.

#include <string>
#include <string_view>

#include "llm/split.h"

namespace docmill {

// Lines of Markdown.
bool is_heading(std::string_view line);
bool is_fence(std::string_view line);

class StructureCheck {
 public:
  StructureCheck();

  // How the answer's counts differ from its source's, "headings: 3 in the text, 2 in the answer",
  // on one line; empty: they are equal. Placeholders ({name}, {{name}}, ${name}, %s, %(name)s) are
  // counted one by one, and links, in Markdown and bare, together. Code blocks are looked at as a
  // whole.
  std::string problem(std::string_view source, std::string_view answer);

 private:
  struct Counts;
  Counts counts(std::string_view text);

  Splitter links_;
  Splitter placeholders_;
};

}  // namespace docmill
