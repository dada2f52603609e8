// docmill backup FILE: a copy of the store as it is at one moment, beside a worker that goes on.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/text.h"
#include "cli/open.h"

namespace docmill {

Action add_backup(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("backup", "copy the store, also while a worker is at it");
  static std::string file;
  command->add_option("FILE", file, "where to; must not exist")->required();
  return [&global] {
    const std::filesystem::path store = find_store(global, open_config(global));
    back_up(store, file, SystemClock().now_ms());
    say(global,
        fmt::format("{}: {}; unfinished batches are paused in it", file,
                    human_bytes(static_cast<std::int64_t>(std::filesystem::file_size(file)))));
    return kExitDone;
  };
}

}  // namespace docmill
