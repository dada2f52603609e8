// docmill wait BATCH...: blocks until they have ended.

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "cli/follow.h"

namespace docmill {
namespace {

struct WaitFlags {
  std::vector<std::string> batches;
  std::string timeout;
};

}  // namespace

Action add_wait(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("wait", "block until batches have ended");
  static WaitFlags flags;
  command->add_option("BATCH", flags.batches)->required();
  command->add_option("--timeout", flags.timeout, "give up after, for example, 2h");
  return [&global] {
    std::int64_t timeout_ms = 0;
    if (!flags.timeout.empty()) {
      const auto parsed = parse_duration_ms(flags.timeout);
      if (!parsed) throw UsageError("--timeout: a duration is like 250ms, 30s, 10m or 2h");
      timeout_ms = std::max<std::int64_t>(*parsed, 1);
    }
    return follow(global, find_store(global, open_config(global)), flags.batches, timeout_ms);
  };
}

}  // namespace docmill
