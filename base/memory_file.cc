#include "base/memory_file.h"

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
  lseek(fd_.get(), 0, SEEK_SET);
}

std::string MemoryFile::content(std::int64_t max_bytes) const {
  const off_t size = lseek(fd_.get(), 0, SEEK_END);
  if (size > max_bytes) return {};
  std::string content(static_cast<std::size_t>(size), '\0');
  std::size_t got = 0;
  while (got < content.size()) {
    const ssize_t part =
        pread(fd_.get(), content.data() + got, content.size() - got, static_cast<off_t>(got));
    if (part <= 0) break;  // a grandchild has cut it meanwhile
    got += static_cast<std::size_t>(part);
  }
  content.resize(got);
  return content;
}

}  // namespace docmill
