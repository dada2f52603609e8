#include "cli/follow.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "cli/progress.h"

namespace docmill {
namespace {

constexpr int kLookEveryMs = 100;

}  // namespace

bool is_at_rest(const BatchStatus& status) {
  return status.state == "finished" || status.state == "cancelled" || status.state == "held" ||
         status.state == "paused";
}

void wait_for_change(Database& db, std::int64_t ms, std::int64_t cost_ms) {
  poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(cost_ms * 10, 60'000)));
  const std::int64_t version = db.data_version();
  for (std::int64_t waited_ms = 0; waited_ms < ms; waited_ms += kLookEveryMs) {
    poll(nullptr, 0, kLookEveryMs);
    if (db.data_version() != version) return;
  }
}

int follow(const Global& global, const std::filesystem::path& store,
           const std::vector<std::string>& batches, std::int64_t timeout_ms) {
  OpenedReader opened(store);
  for (const std::string& name : batches) batch_named(opened.reader, name);
  const std::int64_t start_ms = opened.clock.now_ms();
  Progress progress(global, batches.front(), store);
  std::string said;
  for (;;) {
    const std::int64_t now_ms = opened.clock.now_ms();
    int worst = kExitDone;
    bool all_at_rest = true;
    std::string next_step;
    for (const std::string& name : batches) {
      const StoreStatus status = read_status(opened.reader, store, name, now_ms);
      for (const BatchWait& wait : status.batches.front().waits) {
        if (!wait.next_step.empty()) next_step = name + ": " + wait.reason + "; " + wait.next_step;
      }
      all_at_rest &= is_at_rest(status.batches.front());
      worst = std::max(worst, exit_code_of(status.batches.front()));
    }
    if (all_at_rest) {
      progress.finish(opened.reader, now_ms);
      return worst;
    }
    if (timeout_ms > 0 && now_ms - start_ms >= timeout_ms) {
      say(global, "not finished within --timeout");
      return kExitSomeFailed;
    }
    // What somebody has to do is said once, when it comes up.
    if (!next_step.empty() && next_step != said) say(global, next_step);
    said = next_step;
    progress.show(opened.reader, now_ms);
    wait_for_change(opened.db, 1000, opened.clock.now_ms() - now_ms);
  }
}

}  // namespace docmill
