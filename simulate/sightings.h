// How often something was seen before, for the latest things seen. What has not been new for
// longest is forgotten first, so memory stays bounded; it then counts as new.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

namespace docmill::sim {

class Sightings {
 public:
  explicit Sightings(std::size_t most) : most_(most) {}

  // How often `key` was noted before this time.
  std::uint32_t note(std::uint64_t key) {
    const auto [found, is_new] = counts_.try_emplace(key, 0);
    if (!is_new) return ++found->second;
    arrivals_.push_back(key);
    if (arrivals_.size() > most_) {
      counts_.erase(arrivals_.front());
      arrivals_.pop_front();
    }
    return 0;
  }

 private:
  std::size_t most_;
  std::unordered_map<std::uint64_t, std::uint32_t> counts_;
  std::deque<std::uint64_t> arrivals_;
};

}  // namespace docmill::sim
