// One request and the playing of its reply: what to send next, and when. Time is handed in, the
// socket is somebody else's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "simulate/provider.h"

struct MHD_Connection;

namespace docmill::sim {

class Exchange {
 public:
  enum class Next : unsigned char { bytes, later, end, broken };

  MHD_Connection* connection = nullptr;
  Incoming incoming;
  bool decided = false;
  bool peer_gone = false;

  // Takes the reply; its latency starts now.
  void begin(Reply reply, TimePoint now);

  const Reply& reply() const { return reply_; }

  // When to send the next byte: the headers, if none of the body was asked for yet. At the end
  // of a silence that would be never.
  TimePoint due() const { return due_; }

  // What to send now. After `bytes`, `sent()` says how many of portion() went out. After `later`,
  // ask again at due(). `end`: the body is whole; `broken`: close the connection.
  Next next(TimePoint now);
  std::string_view portion() const { return portion_; }
  void sent(std::size_t bytes) { portion_.remove_prefix(bytes); }

 private:
  bool choose_portion();

  Reply reply_;
  TimePoint answer_at_{};
  TimePoint due_{};
  std::string_view portion_;  // into reply_
  std::size_t body_taken_ = 0;
};

}  // namespace docmill::sim
