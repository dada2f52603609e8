#include "tests/process/scratch.h"

#include <stdlib.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace docmill::process_test {
namespace {

namespace fs = std::filesystem;

// Of the test case that runs; it may make several, one a section.
std::vector<fs::path>& folders() {
  static std::vector<fs::path> made;
  return made;
}

#if __has_include(<catch2/catch_all.hpp>)
using Listener = Catch::EventListenerBase;
#else
using Listener = Catch::TestEventListenerBase;
#endif

class ScratchKeeper : public Listener {
 public:
  using Listener::Listener;
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    for (const fs::path& folder : folders()) {
      if (stats.totals.assertions.failed == 0) {
        fs::remove_all(folder);
      } else {
        std::printf("kept: %s\n", folder.c_str());
      }
    }
    folders().clear();
    Listener::testCaseEnded(stats);
  }
};

}  // namespace

CATCH_REGISTER_LISTENER(ScratchKeeper)

Scratch::Scratch() {
  std::string name = (fs::temp_directory_path() / "docmill-process-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
  folders().push_back(path_);
}

}  // namespace docmill::process_test
