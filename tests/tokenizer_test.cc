// Tokenizers with vocabularies small enough to check by hand. Real ones are compared with other
// implementations by tests/tokens/check.

#include "llm/tokenizer.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/sha256.h"
#include "llm/tokenizers.h"
#include "tests/catch.h"

namespace docmill {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

constexpr const char* kWords = R"([a-z]+|[^a-z]+)";

// All bytes, then `merged` from 256 on.
std::string rank_file(const std::vector<std::string>& merged) {
  std::string text;
  int rank = 0;
  for (int byte = 0; byte < 256; ++byte) {
    text += fmt::format("{} {}\n", to_base64(std::string(1, static_cast<char>(byte))), rank++);
  }
  for (const std::string& token : merged) text += fmt::format("{} {}\n", to_base64(token), rank++);
  return text;
}

json bpe_json(const std::vector<std::string>& vocabulary, const json& merges) {
  json model = {{"type", "BPE"}, {"vocab", json::object()}, {"merges", merges}};
  for (const std::string& token : vocabulary) {
    const std::size_t id = model["vocab"].size();
    model["vocab"][token] = id;
  }
  return {{"model", model}};
}

Ids encoded(const json& file, std::string_view text) {
  return Tokenizer::from_json(file.dump()).encode(text);
}

std::string refusal_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the merge of the lowest rank goes first, the leftmost among equals", "[tokenizer]") {
  auto tokenizer = Tokenizer::from_ranks(rank_file({"bc", "ab", "aa", "abc"}), kWords);
  CHECK(tokenizer.encode("abcd") == Ids{259, 'd'});
  CHECK(tokenizer.encode("abb") == Ids{257, 'b'});
  CHECK(tokenizer.encode("aaa") == Ids{258, 'a'});
  CHECK(tokenizer.encode("aaaa") == Ids{258, 258});
  CHECK(tokenizer.encode("abc abc") == Ids{259, ' ', 259});
  CHECK(tokenizer.encode("").empty());
}

TEST_CASE("a piece that is a token is that token, whatever its merges would make", "[tokenizer]") {
  // "xyz" cannot be reached: neither "xy" nor "yz" is a token.
  auto tokenizer = Tokenizer::from_ranks(rank_file({"xyz"}), kWords);
  CHECK(tokenizer.encode("xyz") == Ids{256});
  CHECK(tokenizer.encode("xyzx") == Ids{'x', 'y', 'z', 'x'});
}

TEST_CASE("counts are those of encode, for any bytes", "[tokenizer]") {
  auto tokenizer = Tokenizer::from_ranks(rank_file({"bc", "ab", "aa", "abc"}), kWords);
  for (const std::string& text :
       {std::string("abc abc aab"), std::string("\xff\xfe"), std::string("a\0b", 3),
        std::string("\xe6\xaf\x95 \xf0\x9f\x8c\x8d"), std::string(100'000, 'a')}) {
    CHECK(tokenizer.count(text) == static_cast<std::int64_t>(tokenizer.encode(text).size()));
  }
  CHECK(tokenizer.count("\xff") == 3);  // U+FFFD has three bytes
  CHECK(tokenizer.count(std::string(100'000, 'a')) == 50'000);
}

TEST_CASE("a file of ranks that was cut or is none is refused by its line", "[tokenizer]") {
  const auto refusal = [](const std::string& text) {
    return refusal_of([&] { Tokenizer::from_ranks(text, kWords); });
  };
  const std::string whole = rank_file({"ab"});
  CHECK(refusal(whole).empty());
  CHECK(refusal(whole.substr(0, 1000)).find("line ") == 0);
  CHECK(refusal("").find("cut") != std::string::npos);
  CHECK(refusal(whole + "!!!! 257\n").find("line 258") == 0);
  CHECK(refusal(whole + "YWE= 300\n").find("line 258") == 0);
  CHECK(refusal(whole + "YWE=\n").find("line 258") == 0);
}

TEST_CASE("a tokenizer.json merges by its list, not by its ids", "[tokenizer]") {
  json file = bpe_json({"a", "b", "c", "ab", "bc", "abc"}, {"b c", "a b", "ab c"});
  file["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  // "bc" comes first and leaves "a"; then no merge makes "abc".
  CHECK(encoded(file, "abc") == Ids{0, 4});
  CHECK(encoded(file, "abab") == Ids{3, 3});
  file["model"]["ignore_merges"] = true;
  CHECK(encoded(file, "abc") == Ids{5});
  file["model"]["merges"] = json::array({{"b", "c"}, {"a", "b"}});
  CHECK(encoded(file, "abca") == Ids{0, 4, 0});
}

TEST_CASE("byte level vocabularies are read back to bytes", "[tokenizer]") {
  // U+0120 stands for a space, U+00E9 for the byte E9, U+0143 for AD.
  json file = bpe_json({"\u0120", "a", "\u0120a", "\u00e9", "\u0143"}, {"\u0120 a"});
  file["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", " ?[a-z]+"}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  CHECK(encoded(file, " a a") == Ids{2, 2});
  CHECK(encoded(file, "\u2b6d") == Ids{Bpe::kUnknown, 4, 4});  // E2 AD AD
}

TEST_CASE("characters without a token fall back to bytes", "[tokenizer]") {
  json file = bpe_json({"\u2581", "a", "\u2581a", "<0xC3>", "<0xA9>"}, {"\u2581 a"});
  file["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Prepend"}, {"prepend", "\u2581"}},
        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}};
  file["model"]["byte_fallback"] = true;
  CHECK(encoded(file, "a a") == Ids{2, 2});
  CHECK(encoded(file, "a\u00e9") == Ids{2, 3, 4});
  file.erase("normalizer");
  file["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\u2581"}};
  CHECK(encoded(file, "a a") == Ids{2, 2});
}

TEST_CASE("texts are composed where the tokenizer says NFC", "[tokenizer]") {
  json file = bpe_json({"\u00e9", "e"}, json::array());
  CHECK(encoded(file, "e\u0301")[0] == 1);
  file["normalizer"] = {{"type", "NFC"}};
  CHECK(encoded(file, "e\u0301") == Ids{0});
  CHECK(encoded(file, "\u00e9e") == Ids{0, 1});
}

TEST_CASE("what is not known of a tokenizer.json is refused by name", "[tokenizer]") {
  const auto refusal = [](const json& file) {
    return refusal_of([&] { Tokenizer::from_json(file.dump()); });
  };
  const json good = bpe_json({"a", "b", "ab"}, {"a b"});
  CHECK(refusal(good).empty());
  json file = good;
  file["normalizer"] = {{"type", "NFKC"}};
  CHECK(refusal(file).find("normalizer \"NFKC\"") != std::string::npos);
  file = good;
  file["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  CHECK(refusal(file).find("BertPreTokenizer") != std::string::npos);
  file = good;
  file["model"]["type"] = "Unigram";
  CHECK(refusal(file).find("Unigram") != std::string::npos);
  file = good;
  file["model"]["merges"] = {"a x"};
  CHECK(refusal(file).find("\"x\"") != std::string::npos);
  file = good;
  file["model"]["merges"] = {7};
  CHECK(refusal(file).find("merge 1") != std::string::npos);
  file = good;
  file["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(["}}}, {"behavior", "Isolated"}};
  CHECK(refusal(file).find("([") != std::string::npos);
  CHECK(refusal(json::array()).find("JSON") != std::string::npos);
  CHECK(refusal({{"model", 3}}).find("BPE") != std::string::npos);
  CHECK(refusal_of([] { Tokenizer::from_json("{\"model\": {"); }).find("cut") != std::string::npos);
}

TEST_CASE("a named tokenizer that is not here is absent; a path that leads nowhere is a mistake",
          "[tokenizer]") {
  const auto folder = std::filesystem::temp_directory_path() / "docmill-tokenizer-test";
  std::filesystem::create_directories(folder);
  std::filesystem::remove(folder / "o200k_base.tiktoken");
  CHECK(Tokenizers({folder}).find("o200k_base") == nullptr);
  std::ofstream(folder / "o200k_base.tiktoken") << rank_file({"he", "ll"});
  Tokenizers tokenizers({folder / "nowhere", folder});
  REQUIRE(tokenizers.find("o200k_base") != nullptr);
  CHECK(tokenizers.find("o200k_base")->encode("hello") == Ids{256, 257, 'o'});
  CHECK(tokenizers.find("o200k_base") == tokenizers.find("o200k_base"));
  CHECK_THROWS_AS(tokenizers.find((folder / "no.json").string()), UsageError);
  std::ofstream(folder / "o200k_base.tiktoken") << "cut";
  const std::string said = refusal_of([&] { Tokenizers({folder}).find("o200k_base"); });
  CHECK(said.find(folder.string()) != std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_CASE("U+180E is no white space, U+0085 is, as in the tokenizers' own patterns",
          "[tokenizer]") {
  auto tokenizer = Tokenizer::from_ranks(rank_file({"\u180e a", "\u0085 "}), R"(\s+|[^\s]+)");
  CHECK(tokenizer.encode("\u0085 ") == Ids{257});
  CHECK(tokenizer.encode("\u180e a").size() == 5);
}

}  // namespace docmill
