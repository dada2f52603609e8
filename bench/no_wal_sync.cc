// Preloaded into docmill, it leaves out the sync of the WAL that FULL does with each commit and
// NORMAL does not: what durability costs. NORMAL's sync before a checkpoint is left out as well.

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

extern "C" int fdatasync(int fd) {
  char link[64], name[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, name, sizeof name);
  if (size > 0 && std::string_view(name, static_cast<std::size_t>(size)).ends_with("-wal")) {
    return 0;
  }
  static const auto next = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fdatasync"));
  return next(fd);
}
