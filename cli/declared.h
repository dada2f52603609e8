#pragma once

// What --help knows, for completion scripts and the man page.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/command.h"

namespace docmill {

struct Flag {
  std::vector<std::string> names;  // "--quiet", "-q"
  std::string says;
  bool takes_value = false;
};

// docmill's own --help is among those of `app` that is no command.
std::vector<Flag> flags_of(const CLI::App& app);
// Those that --help lists.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

}  // namespace docmill
