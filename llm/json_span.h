#pragma once

// A member of a JSON object by its place in the text, so that the rest keeps its bytes: numbers as
// they were written, the order, the white space.

#include <optional>
#include <string>
#include <string_view>

namespace docmill {

// The bytes of the value at a key of the object itself. `object` is valid JSON (parse_json took
// it). The last one counts where a key stands twice, as it does for most readers. Nothing: it has
// none.
std::optional<std::string_view> member_text(std::string_view object, std::string_view key);

// The object with that member under another name, if it has it.
std::string with_renamed_member(std::string_view object, std::string_view key,
                                std::string_view name);

// The object with that member's value, in its place, or before the others.
std::string with_member(std::string_view object, std::string_view key, std::string_view value);

}  // namespace docmill
