#pragma once

// Opens after failures in a row and keeps requests away for a while; then one probe decides.
//
//   closed ──failures in a row──▶ open ──cooldown──▶ one probe ──ok──▶ closed
//                                  ▲                    └──failed──┐
//                                  └───────────────────────────────┘

#include <cstdint>
#include <optional>

namespace docmill {

class Breaker {
 public:
  struct Options {
    int failures = 5;  // in a row
    std::int64_t cooldown_ms = 30'000;
  };
  enum class Verdict { well, failed, nothing };  // of one request

  explicit Breaker(Options options) : options_(options) {}

  // Nothing: a request may go. Otherwise when one may; 0: when the probe is back.
  std::optional<std::int64_t> closed_until_ms(std::int64_t now_ms) const;
  // True: this request is the probe, and its end must say so.
  bool start();
  void end(Verdict verdict, bool was_probe, std::int64_t now_ms);
  int failures_in_a_row() const { return failures_in_a_row_; }

 private:
  Options options_;
  int failures_in_a_row_ = 0;
  bool is_open_ = false;
  bool is_probing_ = false;
  std::int64_t probe_at_ms_ = 0;
};

}  // namespace docmill
