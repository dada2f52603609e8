#pragma once

// A file in memory, for a child to read or write as its stdin or stdout.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"

namespace docmill {

class MemoryFile {
 public:
  // Throws WorldError. It is read from its beginning.
  explicit MemoryFile(std::string_view content = {});
  int fd() const { return fd_.get(); }
  // Empty when there is more.
  std::string content(std::int64_t max_bytes) const;

 private:
  Fd fd_;
};

}  // namespace docmill
