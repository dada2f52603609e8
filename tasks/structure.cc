#include "tasks/structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/text.h"

namespace docmill {
namespace {

// A link with its address behind it, or an address that stands alone.
constexpr const char* kLinkPattern = R"(\]\(|(?<!\]\()https?://)";

// {word} is one unless it belongs to a command before it, as in \section{Introduction}, and %s
// unless it is a per cent of something, as in "5 %s" or "100%sure".
constexpr const char* kPlaceholderPattern =
    R"(\{\{[^{}\n]{1,80}\}\}|\$\{[^{}\n]{1,80}\}|(?<![\w\]}\\{])\{[A-Za-z0-9_][\w.-]{0,60}\}(?!\}))"
    R"(|(?<![\d%])%(?:[1-9]\$)?[sd@](?!\w)|%\(\w{1,60}\)[sd](?!\w))";

// A text may have thousands; three say what is wrong.
constexpr int kMostDifferences = 3;

Splitter matches_of(const char* pattern) {
  return Splitter({SplitStage{pattern, true, false}});
}

}  // namespace

bool is_fence(std::string_view line) {
  const std::string_view start = trimmed(line);
  return start.starts_with("```") || start.starts_with("~~~");
}

bool is_heading(std::string_view line) {
  const std::size_t marks = line.find_first_not_of('#');
  return marks != std::string_view::npos && marks >= 1 && marks <= 6 && line[marks] == ' ';
}

struct StructureCheck::Counts {
  std::int64_t headings = 0;
  std::int64_t fences = 0;
  std::int64_t links = 0;
  std::map<std::string, std::int64_t, std::less<>> placeholders;
};

StructureCheck::StructureCheck()
    : links_(matches_of(kLinkPattern)), placeholders_(matches_of(kPlaceholderPattern)) {}

StructureCheck::Counts StructureCheck::counts(std::string_view text) {
  Counts counts;
  const auto read_prose = [&](std::string_view prose) {
    links_.split(prose, [&](std::string_view) { ++counts.links; });
    placeholders_.split(prose,
                        [&](std::string_view found) { ++counts.placeholders[std::string(found)]; });
  };
  bool in_fence = false;
  std::size_t begin = 0;  // of the prose since the last code block
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    const std::string_view content = text.substr(line, end - line);
    const std::size_t next = std::min(end + 1, text.size());
    if (is_fence(content)) {
      ++counts.fences;
      if (!in_fence) read_prose(text.substr(begin, line - begin));
      in_fence = !in_fence;
      begin = next;
    } else if (!in_fence && is_heading(content)) {
      ++counts.headings;
    }
    line = next;
  }
  if (!in_fence) read_prose(text.substr(begin));
  return counts;
}

std::string StructureCheck::problem(std::string_view source, std::string_view answer) {
  const Counts wanted = counts(source);
  Counts given = counts(answer);
  std::string problem;
  int differences = 0;
  const auto compare = [&](const std::string& name, std::int64_t in_text, std::int64_t in_answer) {
    if (in_text == in_answer || ++differences > kMostDifferences) return;
    problem += fmt::format("{}{}: {} in the text, {} in the answer", problem.empty() ? "" : "; ",
                           name, in_text, in_answer);
  };
  compare("headings", wanted.headings, given.headings);
  compare("lines of code fences", wanted.fences, given.fences);
  compare("links", wanted.links, given.links);
  for (const auto& [name, count] : wanted.placeholders) {
    const auto there = given.placeholders.find(name);
    compare(name, count, there == given.placeholders.end() ? 0 : there->second);
  }
  for (const auto& [name, count] : given.placeholders) {
    if (!wanted.placeholders.contains(name)) compare(name, 0, count);
  }
  if (differences > kMostDifferences) {
    problem += fmt::format("; and {} more", differences - kMostDifferences);
  }
  return problem;
}

}  // namespace docmill
