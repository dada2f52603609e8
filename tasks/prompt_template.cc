#include "tasks/prompt_template.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <kainjow/mustache.hpp>

#include "base/text.h"

namespace docmill {
namespace {

std::string at_place(const std::string& text, std::size_t offset, const std::string& what) {
  const std::string_view before = std::string_view(text).substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}: {}", line, offset - line_begin + 1, what);
}

}  // namespace

std::string template_problem(const std::string& text, const std::vector<std::string>& names) {
  for (std::size_t at = 0; (at = text.find("{{", at)) != std::string::npos;) {
    const bool is_triple = text.compare(at, 3, "{{{") == 0;
    const std::string closing = is_triple ? "}}}" : "}}";
    const std::size_t begin = at + closing.size();
    const std::size_t end = text.find(closing, begin);
    if (end == std::string::npos) return at_place(text, at, "the tag does not end");
    std::string name(trimmed(std::string_view(text).substr(begin, end - begin)));
    if (!name.empty() && name.front() == '&') name = std::string(trimmed(name.substr(1)));
    const bool is_comment = !name.empty() && name.front() == '!';
    if (!is_comment && std::find(names.begin(), names.end(), name) == names.end()) {
      return at_place(text, at,
                      fmt::format("there is no {{{{{}}}}}; there is {{{{{}}}}}",
                                  printable_line(name), fmt::join(names, "}}, {{")));
    }
    at = end + closing.size();
  }
  const kainjow::mustache::mustache parsed(text);
  return parsed.is_valid() ? std::string() : parsed.error_message();
}

std::string filled_in(const std::string& text, const std::map<std::string, std::string>& values) {
  kainjow::mustache::mustache parsed(text);
  parsed.set_custom_escape([](const std::string& value) { return value; });
  kainjow::mustache::data data;
  for (const auto& [name, value] : values) data.set(name, value);
  return parsed.render(data);
}

}  // namespace docmill
