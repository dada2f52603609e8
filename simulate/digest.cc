// SHA-256 from OpenSSL; the numbers are splitmix64's.

#include "simulate/digest.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace docmill::sim {

Digest sha256(std::string_view text) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

Digest sha256_pair(std::string_view first, std::string_view second) {
  const Digest left = sha256(first);
  const Digest right = sha256(second);
  std::array<char, 64> both{};
  std::memcpy(both.data(), left.data(), left.size());
  std::memcpy(both.data() + left.size(), right.data(), right.size());
  return sha256({both.data(), both.size()});
}

std::string hex(const Digest& digest, std::size_t digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(digest.size() * 2);
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  text.resize(std::min(digits, text.size()));
  return text;
}

std::uint64_t first_word(const Digest& digest) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < 8; ++i) word = word << 8U | digest[i];
  return word;
}

std::uint64_t Draws::next() {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t word = state_;
  word = (word ^ word >> 30U) * 0xbf58476d1ce4e5b9U;
  word = (word ^ word >> 27U) * 0x94d049bb133111ebU;
  return word ^ word >> 31U;
}

std::uint64_t Draws::below(std::uint64_t limit) {
  return next() % limit;
}

double Draws::unit() {
  return static_cast<double>(next() >> 11U) * 0x1.0p-53;
}

double Draws::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - unit()));  // 1 - unit() is never 0
  return radius * std::cos(2 * std::numbers::pi * unit());
}

}  // namespace docmill::sim
