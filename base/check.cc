#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace docmill {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "docmill: bug: %s:%d: CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace docmill
