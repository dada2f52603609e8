#include "base/errors.h"

#include <cerrno>
#include <system_error>

namespace docmill {

WorldError world_error_from_errno(const std::string& what) {
  const int error = errno;
  return WorldError(what + ": " + std::generic_category().message(error));
}

}  // namespace docmill
