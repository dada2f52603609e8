#include "llm/tokenizer.h"

#include <fmt/format.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/errors.h"
#include "base/sha256.h"
#include "base/text.h"

namespace docmill {
namespace {

// Ranks stand in the order of the file, from 0; every byte is a token.
std::vector<Bpe::Token> read_ranks(std::string_view text) {
  std::vector<Bpe::Token> tokens;
  std::size_t single_bytes = 0;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(row.size() + 1, text.size()));
    const std::size_t space = row.find(' ');
    const auto bytes = from_base64(row.substr(0, space));
    TokenId rank = 0;
    const char* end = row.data() + row.size();
    const bool has_rank =
        space != std::string_view::npos &&
        std::from_chars(row.data() + space + 1, end, rank) == std::from_chars_result{end, {}};
    if (!bytes || bytes->empty() || !has_rank || rank != tokens.size()) {
      throw UsageError(fmt::format("line {} is not \"BASE64 RANK\" with the next rank", line));
    }
    single_bytes += bytes->size() == 1 ? 1 : 0;
    tokens.push_back({*bytes, rank});
  }
  if (single_bytes != 256) throw UsageError("it has not one rank for each byte: the file was cut");
  return tokens;
}

// Composed, as ICU does it.
std::string composed(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* nfc = unorm2_getNFCInstance(&status);
  if (U_FAILURE(status) || text.size() > (1u << 29)) return std::string(text);
  std::u16string wide(text.size() + 1, u'\0');
  std::int32_t length = 0;
  u_strFromUTF8(wide.data(), static_cast<std::int32_t>(wide.size()), &length, text.data(),
                static_cast<std::int32_t>(text.size()), &status);
  CHECK(U_SUCCESS(status));  // it is valid, and takes no more units than bytes
  if (unorm2_isNormalized(nfc, wide.data(), length, &status)) return std::string(text);
  std::u16string normal(static_cast<std::size_t>(length) * 3 + 16, u'\0');
  const std::int32_t normal_length = unorm2_normalize(
      nfc, wide.data(), length, normal.data(), static_cast<std::int32_t>(normal.size()), &status);
  std::string out(static_cast<std::size_t>(normal_length) * 3 + 1, '\0');
  std::int32_t out_length = 0;
  u_strToUTF8(out.data(), static_cast<std::int32_t>(out.size()), &out_length, normal.data(),
              normal_length, &status);
  CHECK(U_SUCCESS(status));  // NFC takes at most three times the units (UAX 15)
  out.resize(static_cast<std::size_t>(out_length));
  return out;
}

std::string replaced(std::string_view text, const std::string& from, const std::string& to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t next = 0; (next = text.find(from, at)) != std::string_view::npos;) {
    out.append(text, at, next - at).append(to);
    at = next + from.size();
  }
  return out.append(text, at);
}

}  // namespace

Tokenizer Tokenizer::from_ranks(std::string_view text, const std::string& pattern) {
  return Tokenizer(Bpe::by_rank(read_ranks(text)), Splitter({SplitStage{pattern, true, true}}), {});
}

std::string Tokenizer::normalized(std::string_view text) const {
  std::string out = is_valid_utf8(text) ? std::string(text) : repaired_utf8(text);
  for (const NormalizerStep& step : steps_) {
    switch (step.kind) {
      case NormalizerStep::Kind::nfc:
        out = composed(out);
        break;
      case NormalizerStep::Kind::replace:
        out = replaced(out, step.from, step.to);
        break;
      case NormalizerStep::Kind::prepend:
        if (!out.empty() && !out.starts_with(step.to)) out.insert(0, step.to);
        break;
    }
  }
  return out;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) {
  std::vector<TokenId> ids;
  splitter_.split(normalized(text), [&](std::string_view piece) { bpe_.encode(piece, ids); });
  return ids;
}

std::int64_t Tokenizer::count(std::string_view text) {
  std::string changed;
  if (!steps_.empty() || !is_valid_utf8(text)) text = changed = normalized(text);
  std::int64_t tokens = 0;
  splitter_.split(text, [&](std::string_view piece) {
    ids_.clear();
    bpe_.encode(piece, ids_);
    tokens += static_cast<std::int64_t>(ids_.size());
  });
  return tokens;
}

}  // namespace docmill
