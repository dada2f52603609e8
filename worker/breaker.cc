#include "worker/breaker.h"

namespace docmill {
namespace {

// Older ones are forgotten, whether they are back or not.
constexpr std::size_t kRemembered = 1000;

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
  recent_.push_back(State::flying);
  if (recent_.size() > kRemembered) recent_.pop_front();
  return ticket;
}

// Failures before and after it, up to a request that is well or not back yet.
int Breaker::row_around(std::size_t place) const {
  int row = 1;
  const auto goes_on = [&](std::size_t i) {
    if (recent_[i] == State::failed) ++row;
    return recent_[i] == State::failed || recent_[i] == State::nothing;
  };
  for (std::size_t i = place + 1; i < recent_.size() && goes_on(i); ++i) {
  }
  for (std::size_t i = place; i > 0 && goes_on(i - 1); --i) {
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
  const auto age = static_cast<std::size_t>(next_number_ - ticket.number);  // 1: the last
  if (is_open_ || age > recent_.size()) return;
  const std::size_t place = recent_.size() - age;
  switch (verdict) {
    case Verdict::nothing:
      recent_[place] = State::nothing;
      return;
    case Verdict::well:
      recent_[place] = State::well;
      return;
    case Verdict::failed:
      recent_[place] = State::failed;
      row_ = row_around(place);
      if (row_ >= options_.failures) open(now_ms);
  }
}

}  // namespace docmill
