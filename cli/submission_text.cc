// What a submit says of its documents.

#include <fmt/format.h>

#include "base/money.h"
#include "base/text.h"
#include "cli/submission.h"
#include "report/estimate_text.h"

namespace docmill {
namespace {

std::string where_to(const Chain& chain, const Config& config) {
  std::string where;
  for (const Link& link : chain) {
    where += where.empty() ? "" : ", then ";
    where += link.model;
    const auto model = config.models.find(link.model);  // a batch may be older than the config
    if (model == config.models.end()) continue;
    where += fmt::format(" ({})", config.providers.at(model->second.provider).base_url);
  }
  return where;
}

}  // namespace

std::vector<std::string> submission_lines(const Submission& sum, const BatchSpec& spec,
                                          const Config& config,
                                          const std::optional<std::int64_t>& cap_pusd) {
  std::vector<std::string> lines = {
      fmt::format("{}, {} of text: {} new, {} changed, {} unchanged",
                  counted(sum.documents, "document"), human_bytes(sum.text_bytes),
                  with_commas(sum.fresh), with_commas(sum.changed), with_commas(sum.unchanged))};
  if (sum.reused > 0) {
    lines.push_back(fmt::format(
        "{} of them were answered before: reused, $0 (they cost {}); --fresh asks again",
        with_commas(sum.reused), human_usd(sum.saved_pusd)));
  }
  if (sum.unreadable > 0) {
    lines.push_back(fmt::format("can't be read: {}", with_commas(sum.unreadable)));
    for (const std::string& name : sum.unreadable_names) lines.push_back("  " + name);
  }
  for (std::string& line : estimate_lines(sum.estimate, cap_pusd)) lines.push_back(std::move(line));
  for (const auto& [route, documents] : sum.routes) {
    const Route& taken = spec.routes[static_cast<std::size_t>(route)];
    const std::string who =
        sum.routes.size() == 1
            ? std::string()
            : fmt::format("{} by route {}: ", with_commas(documents), printable_line(taken.name));
    lines.push_back(who + "sent to " + where_to(taken.chain, config));
  }
  return lines;
}

}  // namespace docmill
