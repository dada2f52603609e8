#define PCRE2_CODE_UNIT_WIDTH 8

#include "base/pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include "base/check.h"
#include "base/errors.h"

namespace docmill {
namespace {

constexpr std::uint32_t kMostSteps = 1'000'000;

}  // namespace

struct Pattern::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  ~Compiled() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

Pattern::Pattern(const std::string& text) : compiled_(std::make_unique<Compiled>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  compiled_->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &at, nullptr);
  if (compiled_->code == nullptr) {
    throw UsageError(fmt::format("\"{}\" is no pattern, at character {}", text, at + 1));
  }
  compiled_->match = pcre2_match_data_create_from_pattern(compiled_->code, nullptr);
  compiled_->context = pcre2_match_context_create(nullptr);
  CHECK(compiled_->match != nullptr && compiled_->context != nullptr);
  pcre2_set_match_limit(compiled_->context, kMostSteps);
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::matches(std::string_view text) const {
  return pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                     PCRE2_NO_UTF_CHECK, compiled_->match, compiled_->context) >= 0;
}

}  // namespace docmill
