#pragma once

// A text that is too long for one request in pieces that are not: cut before headings, between
// paragraphs, between sentences, and only then between words, or within one that has no end.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/pieces.h"

namespace docmill {

using CountTokens = std::function<std::int64_t(std::string_view)>;

// Pieces of at most `most_tokens` each; the texts with their gaps, put together, are the text but
// for white space at its ends. A fenced code block stays whole where it fits into a piece. `count`
// is called for each part once, and a piece counts as the sum of its parts.
//
// `overlap_tokens`: each piece but the first begins with so much of the one before, in whole
// sentences; within `most_tokens`.
std::vector<NewPiece> cut_text(std::string_view text, std::int64_t most_tokens,
                               std::int64_t overlap_tokens, const CountTokens& count);

}  // namespace docmill
