#pragma once

// A regular expression, by PCRE2: bounded in the steps that it takes, on text of any length.

#include <memory>
#include <string>
#include <string_view>

namespace docmill {

class Pattern {
 public:
  // Unicode, as JSON Schema means it. Throws UsageError when it is none.
  explicit Pattern(const std::string& text);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  // Whether it matches anywhere in `text`, which is UTF-8. One that takes too long does not.
  bool matches(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace docmill
