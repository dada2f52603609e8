#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace docmill {
namespace {

constexpr std::int64_t kRedrawMs = 250;
// Off a terminal: soon at first, so that a short run shows life, then ever more rarely.
constexpr std::int64_t kFirstLineMs = 500;
constexpr std::int64_t kLastLineMs = 30'000;

}  // namespace

Progress::Progress(const Global& global, std::string batch, std::filesystem::path store)
    : global_(global),
      batch_(std::move(batch)),
      store_(std::move(store)),
      on_terminal_(is_terminal(STDERR_FILENO)),
      interval_ms_(on_terminal_ ? kRedrawMs : kFirstLineMs) {}

void Progress::show(StoreReader& reader, std::int64_t now_ms) {
  if (global_.quiet || now_ms < next_ms_) return;
  const StoreStatus status = read_status(reader, store_, batch_, now_ms);
  const std::int64_t cost_ms = SystemClock().now_ms() - now_ms;
  if (!status.batches.empty()) draw(status.batches.front());
  // Counting a million documents takes a while; the work must not wait for its own display.
  next_ms_ = now_ms + std::max(interval_ms_, cost_ms * 50);
  if (!on_terminal_) interval_ms_ = std::min(interval_ms_ * 2, kLastLineMs);
}

void Progress::draw(const BatchStatus& status) {
  if (on_terminal_) {
    fmt::print(stderr, "\r\033[K{}", status_line(status));
  } else {
    fmt::print(stderr, "{}\n", status_line(status));
  }
}

void Progress::finish(StoreReader& reader, std::int64_t now_ms) {
  next_ms_ = 0;
  show(reader, now_ms);
  if (on_terminal_ && !global_.quiet) fmt::print(stderr, "\n");
}

}  // namespace docmill
