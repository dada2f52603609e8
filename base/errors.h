#pragma once

// The two kinds of failure that travel as exceptions, and end in main. What belongs to the work
// (a refused request, an unreadable document) is a value; a bug of ours is a CHECK.

#include <stdexcept>
#include <string>

namespace docmill {

// The user's mistake: a flag, a config key, an input. The message says what to change. Exit 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The store or the machine failed us. Exit 3.
struct WorldError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "what: why", with why taken from errno as it is now.
WorldError world_error_from_errno(const std::string& what);

}  // namespace docmill
