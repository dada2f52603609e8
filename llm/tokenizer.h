#pragma once

// Tokenizers: how many tokens a model makes of a text, exactly, where its vocabulary is on this
// machine. scripts/fetch-tokenizers brings those that have a name.
//
//   text ── normalizer ──> text ── Splitter ──> pieces ── Bpe ──> tokens
//
// Special tokens that stand in a text ("<|endoftext|>") count as the plain text that a provider
// has to read them as.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llm/bpe.h"
#include "llm/split.h"

namespace docmill {

// What a tokenizer does to a text before it is split.
struct NormalizerStep {
  enum class Kind { nfc, replace, prepend };
  Kind kind = Kind::nfc;
  std::string from, to;  // prepend: only `to`, and not where the text starts with it already
};

class Tokenizer {
 public:
  // From a file of ranks: lines of "BASE64 RANK". Throws UsageError when it is none.
  static Tokenizer from_ranks(std::string_view text, const std::string& pattern);
  // From a tokenizer.json with a BPE model. Throws UsageError, naming what it cannot do.
  static Tokenizer from_json(std::string_view text);

  Tokenizer(Bpe bpe, Splitter splitter, std::vector<NormalizerStep> steps)
      : bpe_(std::move(bpe)), splitter_(std::move(splitter)), steps_(std::move(steps)) {}

  // Of any bytes; invalid UTF-8 counts as U+FFFD.
  std::int64_t count(std::string_view text);
  std::vector<TokenId> encode(std::string_view text);

 private:
  std::string normalized(std::string_view text) const;

  Bpe bpe_;
  Splitter splitter_;
  std::vector<NormalizerStep> steps_;
  std::vector<TokenId> ids_;  // scratch
};

}  // namespace docmill
