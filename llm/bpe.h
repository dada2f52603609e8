#pragma once

// Byte pair encoding: which tokens a piece of text becomes. The vocabularies of OpenAI rank merges
// by the token that comes out of them; those of a tokenizer.json have a list of merges.

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace docmill {

using TokenId = std::uint32_t;

class Bpe {
 public:
  struct Token {
    std::string bytes;
    TokenId id = 0;
  };
  struct Merge {  // of two tokens into one; a list of them is in the order of their ranks
    TokenId left = 0;
    TokenId right = 0;
    TokenId result = 0;
  };

  enum class Whole { always, when_merged };  // may a piece that is a token skip its merges?
  enum class Start { bytes, characters };    // what is merged first

  // A merge's rank is the id of its result.
  static Bpe by_rank(std::vector<Token> tokens);
  static Bpe by_merges(std::vector<Token> tokens, const std::vector<Merge>& merges, Whole whole,
                       Start start);

  // Adds the piece's tokens. A byte or character that no token has is kUnknown. In time
  // n log n: a hostile piece costs no more than an honest one.
  void encode(std::string_view piece, std::vector<TokenId>& out);

  static constexpr TokenId kUnknown = 0xffffffff;

 private:
  struct Merged {
    std::uint32_t rank;
    TokenId id;
  };
  struct Node {  // a part of the piece; parts that were merged away have length 0
    std::uint32_t begin, length;
    std::int32_t before, after;
    TokenId id;
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t left;
    std::uint32_t left_length, length;
    TokenId result;
  };

  explicit Bpe(std::vector<Token> tokens);
  void merge(std::string_view piece, std::vector<TokenId>& out);
  void start_nodes(std::string_view piece);
  void push(std::string_view piece, std::int32_t left);
  std::optional<Merged> merged(std::string_view piece, const Node& left, const Node& right) const;
  bool is_reached(std::string_view piece, TokenId id);

  std::vector<Token> tokens_;  // own the keys of by_bytes_
  tsl::robin_map<std::string_view, TokenId> by_bytes_;
  tsl::robin_map<std::uint64_t, Merged> merges_;  // by both ids; empty: ranks are ids
  std::array<TokenId, 256> byte_tokens_{};
  Whole whole_ = Whole::always;
  Start start_ = Start::bytes;
  enum class Reached : std::uint8_t { unknown, yes, no };
  std::vector<Reached> reached_;  // by id: do a token's own bytes become it?
  // Pieces merged before: words come back. Emptied when full.
  tsl::robin_map<std::string, std::vector<TokenId>> seen_;
  std::vector<Node> nodes_;  // of the piece at hand
  std::vector<Candidate> heap_;
};

}  // namespace docmill
