#include "tests/process/process.h"

#include <poll.h>

namespace docmill::process_test {
namespace {

constexpr int kLookEveryMs = 2;

std::int64_t steady_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

bool becomes_true(std::int64_t ms, const std::function<bool()>& is_true) {
  const std::int64_t deadline_ms = steady_ms() + ms;
  while (!is_true()) {
    if (steady_ms() >= deadline_ms) return false;
    poll(nullptr, 0, kLookEveryMs);
  }
  return true;
}

std::int64_t wall_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace docmill::process_test
