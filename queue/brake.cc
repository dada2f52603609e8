#include "queue/brake.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace docmill {

std::optional<std::string> Brake::note(const std::string& error_class) {
  if (percent_ == 0) return std::nullopt;
  ended_.push_back(error_class);
  if (ended_.size() > kWindow) ended_.pop_front();
  if (ended_.size() < kWindow || error_class.empty()) return std::nullopt;
  std::map<std::string, int> counts;
  int failed = 0;
  for (const std::string& ended : ended_) {
    if (ended.empty()) continue;
    ++failed;
    ++counts[ended];
  }
  if (failed * 100 < percent_ * static_cast<int>(kWindow)) return std::nullopt;
  const auto commonest =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string reason = "its brake: " + std::to_string(failed) + " of the last " +
                       std::to_string(kWindow) + " documents failed, " +
                       std::to_string(commonest->second) + " of them " + commonest->first;
  ended_.clear();
  return reason;
}

std::optional<int> parse_brake(const std::string& text) {
  if (text == "off") return 0;
  int percent = 0;
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, percent);
  const bool is_whole = after == end || (after + 1 == end && *after == '%');
  if (error != std::errc() || !is_whole || percent < 1 || percent > 100) return std::nullopt;
  return percent;
}

}  // namespace docmill
