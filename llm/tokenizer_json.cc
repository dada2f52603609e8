// A tokenizer.json, as Hugging Face's tokenizers library writes it, with a BPE model. What it may
// hold beyond is refused by name: a count that is nearly right would be taken for exact.

#include <fmt/format.h>
#include <utf8.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "llm/tokenizer.h"

namespace docmill {
namespace {

using nlohmann::json;

// 256,000 tokens and half a million merges of two have 1.8 million values.
constexpr std::int64_t kMaxValues = 4'000'000;
constexpr const char* kMetaspace = "\xe2\x96\x81";  // "▁"

// What ByteLevel splits by when it is told to.
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

[[noreturn]] void refuse(const std::string& what) {
  throw UsageError(what +
                   ": docmill does not know it; leave tokenizer out, and tokens are "
                   "estimated from characters");
}

bool flag_at(const json& object, const char* key, bool by_default) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : by_default;
}

const json& member(const json& object, const char* key) {
  static const json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

// The characters that ByteLevel writes bytes as: printable ones as they are, the others from
// U+0100.
std::array<int, 0x144> bytes_of_characters() {
  std::array<int, 0x144> bytes;
  bytes.fill(-1);
  std::size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_printable =
        (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    bytes[is_printable ? static_cast<std::size_t>(byte) : next++] = byte;
  }
  return bytes;
}

class Reading {
 public:
  explicit Reading(const json& file) : file_(file), model_(member(file, "model")) {}

  Tokenizer tokenizer();

 private:
  void read_normalizer(const json& step);
  void read_splitter(const json& step);
  void read_split(const json& step);
  void read_metaspace(const json& step);
  std::string bytes_of(const std::string& written) const;
  std::vector<Bpe::Token> tokens() const;
  std::vector<Bpe::Merge> merges() const;
  TokenId id_of(const std::string& written) const;
  void check_model() const;

  const json& file_;
  const json& model_;
  std::vector<NormalizerStep> steps_;
  std::vector<SplitStage> stages_;
  bool is_byte_level_ = false;
};

void Reading::read_normalizer(const json& step) {
  if (step.is_null()) return;
  const std::string type = word_at(step, "type");
  using Kind = NormalizerStep::Kind;
  if (type == "Sequence") {
    for (const json& one : member(step, "normalizers")) read_normalizer(one);
  } else if (type == "NFC") {
    steps_.push_back({Kind::nfc, "", ""});
  } else if (type == "Prepend") {
    steps_.push_back({Kind::prepend, "", word_at(step, "prepend")});
  } else if (type == "Replace" && !word_at(member(step, "pattern"), "String").empty()) {
    steps_.push_back(
        {Kind::replace, word_at(member(step, "pattern"), "String"), word_at(step, "content")});
  } else {
    refuse(fmt::format("its normalizer \"{}\"", printable_line(type)));
  }
}

void Reading::read_split(const json& step) {
  const json& pattern = member(step, "pattern");
  SplitStage stage;
  stage.pattern = word_at(pattern, "Regex");
  if (stage.pattern.empty()) stage.pattern = "\\Q" + word_at(pattern, "String") + "\\E";
  const std::string behavior = word_at(step, "behavior");
  if (behavior == "Removed") {
    // Inverted, what matches stays.
    (flag_at(step, "invert", false) ? stage.keeps_gaps : stage.keeps_matches) = false;
  } else if (behavior != "Isolated") {
    refuse(fmt::format("its splitting \"{}\"", printable_line(behavior)));
  }
  stages_.push_back(stage);
}

void Reading::read_metaspace(const json& step) {
  using Kind = NormalizerStep::Kind;
  const std::string replacement = word_at(step, "replacement");
  const std::string scheme = word_at(step, "prepend_scheme");
  steps_.push_back({Kind::replace, " ", replacement.empty() ? kMetaspace : replacement});
  const bool prepends =
      scheme.empty() ? flag_at(step, "add_prefix_space", true) : scheme != "never";
  if (prepends) steps_.push_back({Kind::prepend, "", steps_.back().to});
  if (flag_at(step, "split", true)) {
    stages_.push_back({fmt::format("{0}[^{0}]*|[^{0}]+", kMetaspace), true, true});
  }
}

void Reading::read_splitter(const json& step) {
  if (step.is_null()) return;
  const std::string type = word_at(step, "type");
  if (type == "Sequence") {
    for (const json& one : member(step, "pretokenizers")) read_splitter(one);
  } else if (type == "Split") {
    read_split(step);
  } else if (type == "Digits") {
    const bool is_single = flag_at(step, "individual_digits", false);
    stages_.push_back({is_single ? "\\p{N}" : "\\p{N}+", true, true});
  } else if (type == "Metaspace") {
    read_metaspace(step);
  } else if (type == "ByteLevel") {
    is_byte_level_ = true;
    if (flag_at(step, "add_prefix_space", true)) {
      steps_.push_back({NormalizerStep::Kind::prepend, "", " "});
    }
    if (flag_at(step, "use_regex", true)) stages_.push_back({kGpt2Pattern, true, true});
  } else {
    refuse(fmt::format("its pre_tokenizer \"{}\"", printable_line(type)));
  }
}

void Reading::check_model() const {
  if (!model_.is_object() || !member(model_, "vocab").is_object() ||
      !member(model_, "merges").is_array()) {
    throw UsageError("it is not a tokenizer.json with a BPE model");
  }
  const std::string type = word_at(model_, "type");
  if (!type.empty() && type != "BPE") refuse(fmt::format("its model \"{}\"", printable_line(type)));
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!word_at(model_, key).empty()) refuse(fmt::format("its {}", key));
  }
}

std::string Reading::bytes_of(const std::string& written) const {
  static const std::array<int, 0x144> kBytes = bytes_of_characters();
  if (!is_byte_level_) return written;
  std::string bytes;
  for (auto at = written.begin(); at != written.end();) {
    const auto character = static_cast<std::size_t>(utf8::unchecked::next(at));
    // Tokens that were added by hand stand as they are.
    if (character >= kBytes.size() || kBytes[character] < 0) return written;
    bytes += static_cast<char>(kBytes[character]);
  }
  return bytes;
}

TokenId Reading::id_of(const std::string& written) const {
  const json& vocabulary = member(model_, "vocab");
  const auto found = vocabulary.find(written);
  if (found == vocabulary.end() || !found->is_number_unsigned() ||
      found->get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxValues)) {
    throw UsageError(fmt::format("its merges make \"{}\", which its vocabulary has not",
                                 printable_line(written)));
  }
  return found->get<TokenId>();
}

std::vector<Bpe::Token> Reading::tokens() const {
  std::vector<Bpe::Token> tokens;
  for (const auto& [written, id] : member(model_, "vocab").items()) {
    tokens.push_back({bytes_of(written), id_of(written)});
  }
  return tokens;
}

std::vector<Bpe::Merge> Reading::merges() const {
  std::vector<Bpe::Merge> merges;
  for (const json& merge : member(model_, "merges")) {
    std::string left, right;
    if (merge.is_string()) {  // "a b"; neither of them has a space in it
      const auto& both = merge.get_ref<const std::string&>();
      const std::size_t space = both.find(' ');
      if (space != std::string::npos) {
        left = both.substr(0, space);
        right = both.substr(space + 1);
      }
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    }
    if (left.empty() || right.empty()) {
      throw UsageError(fmt::format("its merge {} is none: {}", merges.size() + 1,
                                   printable_line(to_text(merge))));
    }
    merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return merges;
}

Tokenizer Reading::tokenizer() {
  check_model();
  read_normalizer(member(file_, "normalizer"));
  read_splitter(member(file_, "pre_tokenizer"));
  const Bpe::Whole whole =
      flag_at(model_, "ignore_merges", false) ? Bpe::Whole::always : Bpe::Whole::when_merged;
  const Bpe::Start start = is_byte_level_ ? Bpe::Start::bytes : Bpe::Start::characters;
  return Tokenizer(Bpe::by_merges(tokens(), merges(), whole, start), Splitter(stages_),
                   std::move(steps_));
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view text) {
  const auto file = parse_json(text, kMaxValues);
  if (!file || !file->is_object()) throw UsageError("it is not JSON, or was cut");
  return Reading(*file).tokenizer();
}

}  // namespace docmill
