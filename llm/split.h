#pragma once

// Cutting a text into the pieces that a tokenizer encodes one by one, by the patterns that belong
// to its vocabulary. Patterns run in PCRE2, which has the look-ahead that they need.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace docmill {

struct SplitStage {
  std::string pattern;
  bool keeps_matches = true;
  bool keeps_gaps = true;  // what lies between matches is a piece, too
};

class Splitter {
 public:
  // Each stage cuts the pieces of the one before. Throws UsageError when a pattern is none.
  explicit Splitter(const std::vector<SplitStage>& stages);
  ~Splitter();
  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;

  // `text` is UTF-8. The pieces in order, each a part of `text`; none is empty.
  void split(std::string_view text, const std::function<void(std::string_view)>& take);

 private:
  struct Stage;
  void split_at(std::size_t stage, std::string_view text,
                const std::function<void(std::string_view)>& take);
  std::vector<Stage> stages_;
};

}  // namespace docmill
