#pragma once

// Holds a batch when too large a share of its last ended jobs failed: something is wrong that more
// money will not mend.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace docmill {

class Brake {
 public:
  static constexpr std::size_t kWindow = 100;  // ended jobs; with fewer it does not brake

  // Percent of the window; 0: off.
  explicit Brake(int percent) : percent_(percent) {}

  // A job ended; `error_class` empty: with a result. The reason to hold the batch, if there is one;
  // the window then begins anew.
  std::optional<std::string> note(const std::string& error_class);

 private:
  int percent_;
  std::deque<std::string> ended_;  // error classes
};

// "50%", "50" and "off" as percent; nothing for anything else.
std::optional<int> parse_brake(const std::string& text);

}  // namespace docmill
