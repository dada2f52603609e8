#pragma once

// How the store keeps a text: as a zstd frame with a checksum, or as it is where that is hardly
// smaller. https://datatracker.ietf.org/doc/html/rfc8878; `zstd -d` reads it, too.

#include <optional>
#include <string>
#include <string_view>

namespace docmill {

// The frame; empty: the text is kept as it is.
std::string packed(std::string_view text);

// Absent: that is no frame, or not as it was packed.
std::optional<std::string> unpacked(std::string_view frame);

}  // namespace docmill
