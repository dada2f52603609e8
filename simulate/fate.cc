// The table of fates, in the order of the enum.

#include "simulate/fate.h"

#include <array>
#include <cstddef>

namespace docmill::sim {
namespace {

constexpr std::array kFates{
    FateFacts{"answer", 200, true, true},
    FateFacts{"400", 400, false, false},
    FateFacts{"401", 401, false, false},
    FateFacts{"402", 402, false, false},
    FateFacts{"404", 404, false, false},
    FateFacts{"408", 408, false, false},
    FateFacts{"429", 429, false, false},
    FateFacts{"500", 500, false, false},
    FateFacts{"502", 502, false, false},
    FateFacts{"503", 503, false, false},
    FateFacts{"504", 504, false, false},
    FateFacts{"529", 529, false, false},
    FateFacts{"reset", 0, true, false},
    FateFacts{"cut", 200, true, false},
    FateFacts{"stall", 200, true, false},
    FateFacts{"trickle", 200, true, true},
    FateFacts{"blank", 200, true, false},
    FateFacts{"blank_then_answer", 200, true, true},
    FateFacts{"oversize", 200, true, false},
    FateFacts{"html", 502, false, false},
    FateFacts{"empty", 200, false, false},
    FateFacts{"error200", 200, false, false},
    FateFacts{"bad_json", 200, true, false},
    FateFacts{"no_choices", 200, true, false},
    FateFacts{"no_content", 200, true, false},
    FateFacts{"length", 200, true, false},
    FateFacts{"content_filter", 200, true, false},
    FateFacts{"no_usage", 200, true, true},
    FateFacts{"redirect", 307, false, false},
    FateFacts{"insufficient_quota", 429, false, false},
    FateFacts{"rate_limit", 429, false, false},
    FateFacts{"in_flight", 429, false, false},
    FateFacts{"bad_key", 401, false, false},
    FateFacts{"bad_request", 400, false, false},
    FateFacts{"not_found", 404, false, false},
    FateFacts{"too_large", 413, false, false},
    FateFacts{"models", 200, false, false},
};
static_assert(kFates.size() == static_cast<std::size_t>(Fate::models) + 1);

constexpr std::size_t kKinds = static_cast<std::size_t>(Fate::insufficient_quota) + 1;

}  // namespace

const FateFacts& facts(Fate fate) {
  return kFates.at(static_cast<std::size_t>(fate));
}

std::optional<Fate> find_kind(std::string_view name) {
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (kFates[i].name == name) return static_cast<Fate>(i);
  }
  return std::nullopt;
}

std::string known_kinds() {
  std::string names;
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (i > 0) names += ", ";
    names += kFates[i].name;
  }
  return names;
}

}  // namespace docmill::sim
