#pragma once

// A key. It cannot be printed, formatted or compared, and its bytes are wiped when it goes.

#include <string>
#include <utility>

namespace docmill {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  bool is_empty() const { return value_.empty(); }
  // For the one place that puts it into a request's header.
  const std::string& reveal() const { return value_; }

 private:
  void wipe() noexcept;
  std::string value_;
};

}  // namespace docmill
