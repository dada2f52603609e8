#include "cli/counting.h"

#include <fmt/format.h>

#include "base/text.h"

namespace docmill {
namespace {

constexpr std::size_t kUnreadableNamed = 5;

}  // namespace

Counting::Counting(const Config& config, std::vector<EstimateRecord> past, std::int64_t now_ms)
    : tokenizers_(tokenizer_folders()),
      estimator_(
          {config.models, config.providers, config.worker.in_flight, std::move(past), now_ms},
          tokenizers_) {}

void Counting::add(const Seen& document, const BatchSpec& spec, int chosen, Added added,
                   std::optional<std::int64_t> saved_pusd) {
  ++sum_.documents;
  ++(added == Added::fresh ? sum_.fresh
                           : (added == Added::changed ? sum_.changed : sum_.unchanged));
  if (!document.error.empty()) return add_unreadable(document);
  sum_.text_bytes += static_cast<std::int64_t>(document.text.size());
  if (added == Added::unchanged) return;
  if (saved_pusd) {
    ++sum_.reused;
    sum_.saved_pusd += *saved_pusd;
    return;
  }
  ++sum_.routes[chosen];
  const Route& route = spec.routes[static_cast<std::size_t>(chosen)];
  estimator_.add(spec, route, document.id, document.text);
}

Submission Counting::result() const {
  Submission result = sum_;
  result.estimate = estimator_.result();
  return result;
}

void Counting::add_unreadable(const Seen& document) {
  ++sum_.unreadable;
  if (sum_.unreadable_names.size() == kUnreadableNamed) return;
  sum_.unreadable_names.push_back(
      fmt::format("{}: {}", printable_line(document.id), printable_line(document.error)));
}

std::optional<Reusable> choose_reuse(const std::vector<Reusable>& found, const Chain& chain) {
  for (const Reusable& one : found) {
    for (const Link& link : chain) {
      if (link.model == one.model) return one;
    }
  }
  return std::nullopt;
}

}  // namespace docmill
