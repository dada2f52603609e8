#pragma once

// A file in memory that a child reads or writes by its name under /proc.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace docmill {

class MemoryFile {
 public:
  // Throws WorldError.
  explicit MemoryFile(std::string_view content = {});
  // Good as long as this process lives and the object does.
  std::filesystem::path path() const;
  // Empty when there is more.
  std::string content(std::int64_t max_bytes) const;

 private:
  Fd fd_;
};

}  // namespace docmill
