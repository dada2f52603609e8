// Finding words and characters in UTF-8 text without reading all of it.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "simulate/digest.h"

namespace docmill::sim {

// The last position at or before `at` where a character starts. Bytes that are not UTF-8 are
// taken for characters of their own after three steps back.
std::size_t character_start(std::string_view text, std::size_t at);

// The word around `at`, at most 24 bytes of it; empty where there is only white space. In
// scripts that do not part words, some characters from `at` on.
std::string_view word_at(std::string_view text, std::size_t at);

// `count` words of the text, chosen by `draws`, with commas between.
std::string some_words(std::string_view text, int count, Draws& draws);

}  // namespace docmill::sim
