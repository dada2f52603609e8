// lead, lead, ... until the latency has passed; the body, in steps; then the ending.

#include "simulate/exchange.h"

#include <algorithm>
#include <utility>

namespace docmill::sim {

void Exchange::begin(Reply reply, TimePoint now) {
  decided = true;
  reply_ = std::move(reply);
  incoming = {};  // the body may be large, and is not needed any more
  answer_at_ = now + reply_.latency;
  due_ = reply_.lead.empty() ? answer_at_ : now;
}

Exchange::Next Exchange::next(TimePoint now) {
  if (portion_.empty() && !choose_portion()) {
    return reply_.ending == Ending::complete ? Next::end : Next::broken;
  }
  return due_ <= now ? Next::bytes : Next::later;
}

bool Exchange::choose_portion() {
  const bool first = body_taken_ == 0;
  if (first && !reply_.lead.empty() && due_ + reply_.lead_interval < answer_at_) {
    portion_ = reply_.lead;
    due_ += reply_.lead_interval;
    return true;
  }
  if (body_taken_ < reply_.body.size()) {
    due_ = first ? std::max(due_, answer_at_) : due_ + reply_.step_interval;
    const std::size_t rest = reply_.body.size() - body_taken_;
    const std::size_t step = reply_.step_bytes == 0 ? rest : std::min(rest, reply_.step_bytes);
    portion_ = std::string_view(reply_.body).substr(body_taken_, step);
    body_taken_ += step;
    return true;
  }
  if (reply_.ending == Ending::repeat) {
    portion_ = reply_.filler;
    due_ += reply_.filler_interval;
    return true;
  }
  if (reply_.ending != Ending::silence) return false;
  portion_ = " ";  // never sent: it is due at the end of time
  due_ = TimePoint::max();
  return true;
}

}  // namespace docmill::sim
