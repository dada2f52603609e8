#define PCRE2_CODE_UNIT_WIDTH 8

#include "llm/split.h"

#include <fmt/format.h>
#include <pcre2.h>

#include "base/check.h"
#include "base/errors.h"

namespace docmill {
namespace {

// Unicode's White_Space, which is what \s means to the tokenizers' own regular expressions; PCRE2's
// has U+180E on top.
constexpr std::string_view kSpaces = R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680})"
                                     R"(\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

std::string with_unicode_spaces(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '\\' || i + 1 == pattern.size()) {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      out += c;
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 's') {
      out += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
    } else if (escaped == 'S' && !in_class) {
      out += fmt::format("[^{}]", kSpaces);
    } else {
      out += {c, escaped};
    }
  }
  return out;
}

}  // namespace

struct Splitter::Stage {
  struct CodeDelete {
    void operator()(pcre2_code* one) const { pcre2_code_free(one); }
  };
  struct MatchDelete {
    void operator()(pcre2_match_data* one) const { pcre2_match_data_free(one); }
  };
  std::unique_ptr<pcre2_code, CodeDelete> code;
  std::unique_ptr<pcre2_match_data, MatchDelete> match;
  bool keeps_matches;
  bool keeps_gaps;
};

Splitter::Splitter(const std::vector<SplitStage>& stages) {
  for (const SplitStage& stage : stages) {
    const std::string pattern = with_unicode_spaces(stage.pattern);
    int error = 0;
    PCRE2_SIZE at = 0;
    Stage compiled{};
    compiled.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                      PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    if (!compiled.code) {
      throw UsageError(fmt::format("a tokenizer's pattern cannot be read: {}", stage.pattern));
    }
    pcre2_jit_compile(compiled.code.get(), PCRE2_JIT_COMPLETE);  // without it, it is slower
    compiled.match.reset(pcre2_match_data_create(1, nullptr));
    CHECK(compiled.match != nullptr);
    compiled.keeps_matches = stage.keeps_matches;
    compiled.keeps_gaps = stage.keeps_gaps;
    stages_.push_back(std::move(compiled));
  }
}

Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;

void Splitter::split(std::string_view text, const std::function<void(std::string_view)>& take) {
  split_at(0, text, take);
}

void Splitter::split_at(std::size_t number, std::string_view text,
                        const std::function<void(std::string_view)>& take) {
  if (text.empty()) return;
  if (number == stages_.size()) return take(text);
  Stage& stage = stages_[number];
  std::size_t at = 0;    // where the next match is looked for
  std::size_t done = 0;  // up to here the text is given away
  while (at < text.size()) {
    const int found = pcre2_match(stage.code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(), at, PCRE2_NO_UTF_CHECK, stage.match.get(), nullptr);
    if (found < 0) break;  // no match; or PCRE2 gives up, and the rest is one piece
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(stage.match.get());
    const std::size_t begin = bounds[0];
    const std::size_t end = bounds[1];
    if (end == begin) {  // of nothing: on with the next character
      at = end + 1;
      while (at < text.size() && (text[at] & 0xc0) == 0x80) ++at;
      continue;
    }
    if (stage.keeps_gaps) split_at(number + 1, text.substr(done, begin - done), take);
    if (stage.keeps_matches) split_at(number + 1, text.substr(begin, end - begin), take);
    done = at = end;
  }
  if (stage.keeps_gaps) split_at(number + 1, text.substr(done), take);
}

}  // namespace docmill
