#include "base/memory_file.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/errors.h"

namespace docmill {

MemoryFile::MemoryFile(std::string_view content) : fd_(memfd_create("docmill", MFD_CLOEXEC)) {
  if (!fd_.is_open()) throw world_error_from_errno("memfd_create");
  while (!content.empty()) {
    const ssize_t put = write(fd_.get(), content.data(), content.size());
    if (put <= 0) throw world_error_from_errno("a file in memory");
    content.remove_prefix(static_cast<std::size_t>(put));
  }
}

std::filesystem::path MemoryFile::path() const {
  return fmt::format("/proc/{}/fd/{}", getpid(), fd_.get());
}

std::string MemoryFile::content(std::int64_t max_bytes) const {
  return read_file(path(), max_bytes).value_or(std::string());
}

}  // namespace docmill
