#pragma once

// CHECK states what must be true if our own code is right. It stays on in release: a worker that
// has lost track of its own state must die, because a restart reads the truth from the store.
// Only .cc files include this (Catch2 has a CHECK of its own).

namespace docmill {

[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace docmill

#define CHECK(condition) \
  ((condition) ? void() : ::docmill::check_failed(#condition, __FILE__, __LINE__))
