#pragma once

// SHA-256, by OpenSSL. Content addresses and request hashes are its 32 raw bytes.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace docmill {

// The digest of the parts, each preceded by its length, so that ("a","bc") and ("ab","c") differ.
std::string sha256_of_parts(std::initializer_list<std::string_view> parts);
// The digest of the bytes alone, as everybody else computes it.
std::string sha256(std::string_view bytes);
std::string to_hex(std::string_view bytes);
std::string to_base64(std::string_view bytes);
// Nothing for what is not base64 with its padding.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace docmill
