#pragma once

namespace docmill {

extern const char* const kKnownList;     // TOML
extern const char* const kKnownListDay;  // on which its prices held

}  // namespace docmill
