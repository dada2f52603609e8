// Prose answers and what they cost in tokens. Documents may be long: words are picked by their
// offset, never by splitting the whole text.

#include "simulate/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "simulate/digest.h"
#include "simulate/words.h"

namespace docmill {
namespace {

constexpr std::int64_t kBytesPerToken = 4;

std::int64_t tokens_of(std::size_t bytes) {
  return 1 + static_cast<std::int64_t>(bytes) / kBytesPerToken;
}

constexpr std::array<std::string_view, 6> kOpenings{
    "In short, the text turns on",      "What stands out here is",    "The document speaks of",
    "Read closely, this comes down to", "The main points are these:", "The passage deals with",
};

constexpr std::array<std::string_view, 6> kClosings{
    "Nothing in it contradicts its own beginning.",
    "A second reading would not change this summary by much.",
    "The remaining parts add detail, and no new point.",
    "Names and figures are given as they stand in the source.",
    "Its last part returns to where the first one began.",
    "Whatever else is mentioned serves as an example.",
};

}  // namespace

std::string simulated_tag(std::string_view system_text, std::string_view user_text) {
  return sim::hex(sim::sha256_pair(system_text, user_text), 16);
}

std::string simulated_answer(std::string_view system_text, std::string_view user_text) {
  if (system_text.find("ranslat") != std::string_view::npos) {
    return fmt::format("[{}]\n\n{}", simulated_tag(system_text, user_text), user_text);
  }
  const sim::Digest digest = sim::sha256_pair(system_text, user_text);
  sim::Draws draws(sim::first_word(digest));
  const std::string_view opening = kOpenings[draws.below(kOpenings.size())];
  const std::string_view closing = kClosings[draws.below(kClosings.size())];
  return fmt::format(
      "[{}] {} {}. Further on it mentions {}. The text has {} bytes and was read under the "
      "instructions {}; the words quoted here were taken from it as they stand, in no order that "
      "would mean anything. {}",
      sim::hex(digest, 16), opening, sim::some_words(user_text, 6, draws),
      sim::some_words(user_text, 4, draws), user_text.size(), sim::hex(sim::sha256(system_text), 8),
      closing);
}

SimulatedUsage simulated_usage(std::string_view system_text, std::string_view user_text,
                               std::string_view answer, double cached_share) {
  SimulatedUsage usage;
  usage.prompt_tokens = tokens_of(system_text.size() + user_text.size());
  usage.cached_tokens = static_cast<std::int64_t>(static_cast<double>(usage.prompt_tokens) *
                                                  std::clamp(cached_share, 0.0, 1.0));
  usage.completion_tokens = tokens_of(answer.size());
  return usage;
}

std::string_view simulated_cut(std::string_view answer, std::int64_t max_tokens) {
  if (max_tokens >= tokens_of(answer.size())) return answer;
  if (max_tokens <= 0) return {};
  // The most bytes that still are max_tokens; giving back up to three for a whole character
  // leaves it at max_tokens.
  const auto bytes = static_cast<std::size_t>(max_tokens * kBytesPerToken - 1);
  return answer.substr(0, sim::character_start(answer, bytes));
}

}  // namespace docmill
