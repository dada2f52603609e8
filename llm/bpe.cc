#include "llm/bpe.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace docmill {
namespace {

// Of pieces that are remembered: some 6 MB at most.
constexpr std::size_t kMaxSeen = 32'768;
constexpr std::size_t kMaxSeenBytes = 48;

// Another for each pair; spread, since the map takes its low bits.
std::uint64_t pair_key(TokenId left, TokenId right) {
  const std::uint64_t pair = (static_cast<std::uint64_t>(left) << 32 | right) * 0x9e3779b97f4a7c15u;
  return pair ^ pair >> 32;
}

struct Worse {
  template <class Candidate>
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  }
};

std::size_t character_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

Bpe::Bpe(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  by_bytes_.reserve(tokens_.size());
  for (const Token& token : tokens_) by_bytes_.insert({token.bytes, token.id});
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const auto found = by_bytes_.find(std::string_view(&text, 1));
    byte_tokens_[byte] = found == by_bytes_.end() ? kUnknown : found->second;
  }
}

Bpe Bpe::by_rank(std::vector<Token> tokens) {
  return Bpe(std::move(tokens));
}

Bpe Bpe::by_merges(std::vector<Token> tokens, const std::vector<Merge>& merges, Whole whole,
                   Start start) {
  Bpe bpe(std::move(tokens));
  bpe.whole_ = whole;
  bpe.start_ = start;
  bpe.merges_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const Merge& merge : merges) {
    bpe.merges_.insert({pair_key(merge.left, merge.right), {rank++, merge.result}});
  }
  TokenId last = 0;
  for (const Token& token : bpe.tokens_) last = std::max(last, token.id);
  bpe.reached_.assign(last + 1, Reached::unknown);
  if (start != Start::characters) return bpe;
  for (std::size_t byte = 0; byte < 256; ++byte) {  // what stands in for characters without a token
    const auto found = bpe.by_bytes_.find(fmt::format("<0x{:02X}>", byte));
    bpe.byte_tokens_[byte] = found == bpe.by_bytes_.end() ? kUnknown : found->second;
  }
  return bpe;
}

void Bpe::encode(std::string_view piece, std::vector<TokenId>& out) {
  const auto whole = by_bytes_.find(piece);
  if (whole != by_bytes_.end() && (whole_ == Whole::always || is_reached(piece, whole->second))) {
    out.push_back(whole->second);
    return;
  }
  if (piece.size() > kMaxSeenBytes) return merge(piece, out);
  std::string key(piece);
  auto seen = seen_.find(key);
  if (seen == seen_.end()) {
    if (seen_.size() == kMaxSeen) seen_.clear();
    std::vector<TokenId> made;
    merge(piece, made);
    seen = seen_.insert({std::move(key), std::move(made)}).first;
  }
  out.insert(out.end(), seen->second.begin(), seen->second.end());
}

bool Bpe::is_reached(std::string_view piece, TokenId id) {
  if (reached_[id] == Reached::unknown) {
    std::vector<TokenId> made;
    merge(piece, made);
    reached_[id] = made.size() == 1 ? Reached::yes : Reached::no;
  }
  return reached_[id] == Reached::yes;
}

void Bpe::start_nodes(std::string_view piece) {
  nodes_.clear();
  const auto add = [this](std::size_t begin, std::size_t length, TokenId id) {
    const auto at = static_cast<std::int32_t>(nodes_.size());
    nodes_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(length), at - 1,
                      at + 1, id});
  };
  for (std::size_t at = 0; at < piece.size();) {
    if (start_ == Start::characters) {
      const std::size_t length = std::min(character_length(piece[at]), piece.size() - at);
      const auto found = by_bytes_.find(piece.substr(at, length));
      if (found != by_bytes_.end()) {
        add(at, length, found->second);
        at += length;
        continue;
      }
    }
    add(at, 1, byte_tokens_[static_cast<unsigned char>(piece[at])]);
    ++at;
  }
  if (!nodes_.empty()) nodes_.back().after = -1;
}

std::optional<Bpe::Merged> Bpe::merged(std::string_view piece, const Node& left,
                                       const Node& right) const {
  if (!merges_.empty()) {
    const auto found = merges_.find(pair_key(left.id, right.id));
    if (found == merges_.end()) return std::nullopt;
    return found->second;
  }
  const auto found = by_bytes_.find(piece.substr(left.begin, left.length + right.length));
  if (found == by_bytes_.end()) return std::nullopt;
  return Merged{found->second, found->second};
}

// A candidate for the merge of a node with the one after it, if there is such a merge.
void Bpe::push(std::string_view piece, std::int32_t left) {
  if (left < 0 || nodes_[static_cast<std::size_t>(left)].after < 0) return;
  const Node& one = nodes_[static_cast<std::size_t>(left)];
  const Node& next = nodes_[static_cast<std::size_t>(one.after)];
  const auto pair = merged(piece, one, next);
  if (!pair) return;
  heap_.push_back({pair->rank, left, one.length, one.length + next.length, pair->id});
  std::push_heap(heap_.begin(), heap_.end(), Worse());
}

void Bpe::merge(std::string_view piece, std::vector<TokenId>& out) {
  CHECK(piece.size() < (std::size_t{1} << 31));
  start_nodes(piece);
  heap_.clear();
  for (std::size_t i = 0; i + 1 < nodes_.size(); ++i) push(piece, static_cast<std::int32_t>(i));
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), Worse());
    const Candidate best = heap_.back();
    heap_.pop_back();
    Node& left = nodes_[static_cast<std::size_t>(best.left)];
    if (left.length != best.left_length || left.after < 0) continue;  // merged away meanwhile
    Node& right = nodes_[static_cast<std::size_t>(left.after)];
    if (left.length + right.length != best.length) continue;
    left.length = best.length;
    left.id = best.result;
    left.after = right.after;
    right.length = 0;
    if (right.after >= 0) nodes_[static_cast<std::size_t>(right.after)].before = best.left;
    push(piece, left.before);
    push(piece, best.left);
  }
  for (const Node& node : nodes_) {
    if (node.length > 0) out.push_back(node.id);
  }
}

}  // namespace docmill
