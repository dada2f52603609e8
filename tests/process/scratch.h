#pragma once

// A folder of its own for each test case: removed when the case has passed, kept and named when it
// has failed.

// Catch2 v2 declares its listeners only when asked to, before its header is read for the first
// time; so every file here gets Catch2 through this one.
#ifndef CATCH_CONFIG_EXTERNAL_INTERFACES
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#endif

#include <filesystem>

#include "tests/catch.h"

namespace docmill::process_test {

class Scratch {
 public:
  Scratch();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace docmill::process_test
