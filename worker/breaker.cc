#include "worker/breaker.h"

namespace docmill {

std::optional<std::int64_t> Breaker::closed_until_ms(std::int64_t now_ms) const {
  if (!is_open_) return std::nullopt;
  if (is_probing_) return 0;
  if (now_ms < probe_at_ms_) return probe_at_ms_;
  return std::nullopt;
}

bool Breaker::start() {
  if (!is_open_) return false;
  is_probing_ = true;
  return true;
}

// Requests that left before it opened come back while it is open: their failures say nothing new,
// and their answers do not close it before the probe has.
void Breaker::end(Verdict verdict, bool was_probe, std::int64_t now_ms) {
  if (was_probe) is_probing_ = false;
  if (is_open_ && !was_probe) return;
  switch (verdict) {
    case Verdict::nothing:
      return;
    case Verdict::well:
      failures_in_a_row_ = 0;
      is_open_ = false;
      return;
    case Verdict::failed:
      ++failures_in_a_row_;
      if (!was_probe && failures_in_a_row_ < options_.failures) return;
      is_open_ = true;
      probe_at_ms_ = now_ms + options_.cooldown_ms;
  }
}

}  // namespace docmill
