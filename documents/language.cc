#include "documents/language.h"

#include <cld2/public/compact_lang_det.h>

#include "base/text.h"

namespace docmill {
namespace {

// More does not make it surer.
constexpr std::size_t kEnoughBytes = 1 << 16;

}  // namespace

std::string language_of(std::string_view text) {
  const std::string_view beginning = utf8_prefix(text, kEnoughBytes);
  bool is_reliable = false;
  const CLD2::Language language = CLD2::DetectLanguage(
      beginning.data(), static_cast<int>(beginning.size()), true, &is_reliable);
  if (!is_reliable || language == CLD2::UNKNOWN_LANGUAGE) return {};
  return CLD2::LanguageCode(language);
}

bool is_language_code(const std::string& code) {
  const CLD2::Language language = CLD2::GetLanguageFromName(code.c_str());
  return language != CLD2::UNKNOWN_LANGUAGE && CLD2::LanguageCode(language) == code;
}

}  // namespace docmill
