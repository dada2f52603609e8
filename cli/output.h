#pragma once

// Where a command's data goes: stdout, or the file of -o, which is there whole or not at all.

#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"

namespace docmill {

// Written piece by piece, so that a million lines need no memory. Throws WorldError; a closed pipe
// is PipeClosed.
class FileOutput {
 public:
  explicit FileOutput(const std::optional<std::string>& file);
  void put(std::string_view text);
  void flush();
  // On disk, under its name, when it returns.
  void close();

 private:
  std::optional<std::string> file_;
  std::string part_;
  Fd fd_;
  std::string buffer_;
};

}  // namespace docmill
