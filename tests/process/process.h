#pragma once

// Waiting for what other processes do.

#include <chrono>
#include <cstdint>
#include <functional>

#include "base/process.h"

namespace docmill::process_test {

// Looks every few ms. False when it did not become true within `ms`.
bool becomes_true(std::int64_t ms, const std::function<bool()>& is_true);

std::int64_t wall_ms();

}  // namespace docmill::process_test
