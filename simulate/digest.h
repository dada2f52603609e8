// Where the simulator's chance comes from: digests of what was asked, and numbers drawn from them.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace docmill::sim {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view text);

// Of two texts, so that moving a byte from one to the other changes it.
Digest sha256_pair(std::string_view first, std::string_view second);

// The first `digits` hex digits.
std::string hex(const Digest& digest, std::size_t digits);

std::uint64_t first_word(const Digest& digest);

// An endless row of numbers, the same for the same start.
class Draws {
 public:
  explicit Draws(std::uint64_t start) : state_(start) {}

  std::uint64_t next();
  std::uint64_t below(std::uint64_t limit);  // limit > 0
  double unit();                             // [0, 1)
  double normal();                           // mean 0, deviation 1

 private:
  std::uint64_t state_;
};

}  // namespace docmill::sim
