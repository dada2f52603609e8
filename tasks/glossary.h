#pragma once

// How terms are to be translated: a line each of a CSV or TSV file, "term,translation", as
// glossaries are exported by translation tools. Further columns are theirs and are left out, and so
// is a first line that names the columns ("source,target").

#include <string>
#include <string_view>

namespace docmill {

// With every request of the batch, so more would be paid for again and again.
inline constexpr std::size_t kMaxGlossaryTerms = 1000;

// The paragraph of the prompt. `file`: the file's bytes, in any encoding that decode_text finds.
// Throws UsageError that names the line.
std::string glossary_prompt(std::string file);

}  // namespace docmill
