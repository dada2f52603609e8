#pragma once

// Which language a text is in, by CLD2 (github.com/CLD2Owners/cld2), of its beginning alone.

#include <string>
#include <string_view>

namespace docmill {

// Of UTF-8. "de", "zh", "zh-Hant": an ISO 639-1 code as CLD2 has it. Empty: it cannot tell, as of a
// few words.
std::string language_of(std::string_view text);

bool is_language_code(const std::string& code);

}  // namespace docmill
