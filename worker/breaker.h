#pragma once

// Opens after failures in a row and keeps requests away for a while; then one probe decides.
//
//   closed ──failures in a row──▶ open ──cooldown──▶ one probe ──ok──▶ closed
//                                  ▲                    └──failed──┐
//                                  └───────────────────────────────┘
//
// In a row is by the order in which requests left. By the order in which they come back the quick
// failures of a hundred that left together would be a row, before any of the answers is there.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace docmill {

class Breaker {
 public:
  struct Options {
    int failures = 5;  // in a row
    std::int64_t cooldown_ms = 30'000;
  };
  enum class Verdict { well, failed, nothing };  // of one request
  struct Ticket {
    std::int64_t number = 0;
    bool is_probe = false;
  };

  explicit Breaker(Options options) : options_(options) {}

  // Nothing: a request may go. Otherwise when one may; 0: when the probe is back.
  std::optional<std::int64_t> closed_until_ms(std::int64_t now_ms) const;
  // Each request that starts has to end.
  Ticket start();
  void end(const Ticket& ticket, Verdict verdict, std::int64_t now_ms);
  // The row that opened it.
  int failures_in_a_row() const { return row_; }

 private:
  enum class State { flying, failed, well, nothing };
  int row_around(std::size_t place) const;
  void open(std::int64_t now_ms);

  Options options_;
  std::deque<State> recent_;  // the last of them is next_number_ - 1
  std::int64_t next_number_ = 1;
  int row_ = 0;
  bool is_open_ = false;
  bool is_probing_ = false;
  std::int64_t probe_at_ms_ = 0;
};

}  // namespace docmill
