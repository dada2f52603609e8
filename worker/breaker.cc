#include "worker/breaker.h"

#include <iterator>

namespace docmill {
namespace {

// Older ones are forgotten, whether they are back or not.
constexpr std::int64_t kRemembered = 1000;

}  // namespace

std::optional<std::int64_t> Breaker::closed_until_ms(std::int64_t now_ms) const {
  if (!is_open_) return std::nullopt;
  if (is_probing_) return 0;
  if (now_ms < probe_at_ms_) return probe_at_ms_;
  return std::nullopt;
}

Breaker::Ticket Breaker::start() {
  const Ticket ticket{next_number_++, is_open_};
  is_probing_ = is_open_;
  recent_[ticket.number] = State::flying;
  recent_.erase(recent_.begin(), recent_.lower_bound(ticket.number - kRemembered));
  return ticket;
}

// Failures before and after it, up to a request that is well or not back yet.
int Breaker::row_around(std::int64_t number) const {
  int row = 0;
  const auto at = recent_.find(number);
  for (auto it = at; it != recent_.end() && it->second == State::failed; ++it) ++row;
  for (auto it = std::make_reverse_iterator(at);
       it != recent_.rend() && it->second == State::failed; ++it) {
    ++row;
  }
  return row;
}

void Breaker::open(std::int64_t now_ms) {
  is_open_ = true;
  probe_at_ms_ = now_ms + options_.cooldown_ms;
  recent_.clear();
}

// Requests that left before it opened come back while it is open: their failures say nothing new,
// and their answers do not close it before the probe has.
void Breaker::end(const Ticket& ticket, Verdict verdict, std::int64_t now_ms) {
  if (ticket.is_probe) {
    is_probing_ = false;
    if (verdict == Verdict::failed) {
      ++row_;
      open(now_ms);
    } else if (verdict == Verdict::well) {
      is_open_ = false;
      recent_.clear();
    }
    return;
  }
  const auto known = recent_.find(ticket.number);
  if (is_open_ || known == recent_.end()) return;
  switch (verdict) {
    case Verdict::nothing:
      recent_.erase(known);
      return;
    case Verdict::well:
      known->second = State::well;
      return;
    case Verdict::failed:
      known->second = State::failed;
      row_ = row_around(ticket.number);
      if (row_ >= options_.failures) open(now_ms);
  }
}

}  // namespace docmill
