#include "documents/decode.h"

#include <fmt/format.h>
#include <uchardet.h>
#include <unicode/ucnv.h>
#include <utf8.h>

#include <iterator>
#include <memory>

#include "base/check.h"
#include "base/errors.h"
#include "base/text.h"

namespace docmill {
namespace {

// A guess from fewer bytes is right too seldom (measured: right on paragraphs, wrong on words).
constexpr std::size_t kEnoughToGuess = 200;
constexpr std::size_t kGuessedFrom = 256 << 10;

std::string guessed_encoding(std::string_view bytes) {
  const std::unique_ptr<uchardet, void (*)(uchardet*)> detector(uchardet_new(), &uchardet_delete);
  CHECK(detector != nullptr);
  bytes = bytes.substr(0, kGuessedFrom);
  if (uchardet_handle_data(detector.get(), bytes.data(), bytes.size()) != 0) return {};
  uchardet_data_end(detector.get());
  return uchardet_get_charset(detector.get());
}

// Nothing: the bytes are not of that encoding.
std::optional<std::string> converted(const std::string& bytes, const std::string& encoding) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UConverter, void (*)(UConverter*)> from(
      ucnv_open(encoding.c_str(), &status), &ucnv_close);
  if (U_FAILURE(status)) {
    throw UsageError(fmt::format("--encoding: \"{}\" is not known", printable_line(encoding)));
  }
  ucnv_setToUCallBack(from.get(), UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &status);
  std::u16string wide(bytes.size() * 2 + 16, u'\0');
  const std::int32_t length =
      ucnv_toUChars(from.get(), wide.data(), static_cast<std::int32_t>(wide.size()), bytes.data(),
                    static_cast<std::int32_t>(bytes.size()), &status);
  if (U_FAILURE(status)) return std::nullopt;
  wide.resize(static_cast<std::size_t>(length));
  std::string text;
  try {
    utf8::utf16to8(wide.begin(), wide.end(), std::back_inserter(text));
  } catch (const utf8::exception&) {
    return std::nullopt;
  }
  return text;
}

std::string marked_encoding(std::string_view bytes) {
  if (bytes.starts_with("\xff\xfe") && !bytes.starts_with(std::string_view("\xff\xfe\0\0", 4))) {
    return "UTF-16LE";
  }
  if (bytes.starts_with("\xfe\xff")) return "UTF-16BE";
  if (bytes.starts_with(std::string_view("\xff\xfe\0\0", 4))) return "UTF-32LE";
  return {};
}

Decoded as_text(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  if (text.find('\0') != std::string::npos) return {"", "it is not text (it has NUL bytes)"};
  if (is_blank(text)) return {"", "it has no text"};
  return {std::move(text), ""};
}

}  // namespace

Decoded decode_text(std::string bytes, const std::string& encoding) {
  const std::string marked = encoding.empty() ? marked_encoding(bytes) : encoding;
  if (!marked.empty()) {
    auto text = converted(bytes, marked);
    if (!text) return {"", fmt::format("it is not {} text", marked)};
    return as_text(std::move(*text));
  }
  if (is_valid_utf8(bytes)) return as_text(std::move(bytes));
  if (bytes.size() < kEnoughToGuess) {
    return {"", "it is not UTF-8 text, and too short to guess its encoding: give --encoding NAME"};
  }
  const std::string guess = guessed_encoding(bytes);
  auto text = guess.empty() ? std::nullopt : converted(bytes, guess);
  if (!text) return {"", "it is not text, or of an unknown encoding: give --encoding NAME"};
  return as_text(std::move(*text));
}

}  // namespace docmill
