// What a translation has to leave as it is.

#include "tasks/structure.h"
#include "tests/catch.h"

namespace docmill {

TEST_CASE("headings, code blocks, links and placeholders are counted", "[structure]") {
  StructureCheck check;
  const std::string source =
      "# One\n\nSee [the map](https://a.example/x) and https://b.example.\n\n"
      "```sh\n# no heading\necho {name} https://c.example\n```\n\n## Two\n\n"
      "Hello {name}, {{count}} of %d for ${user}: %1$s, %(item)s.\n";
  CHECK(check.problem(source, source).empty());
  const auto without = [&](std::string_view part, std::string_view other = "") {
    std::string answer = source;
    answer.replace(answer.find(part), part.size(), other);
    return check.problem(source, answer);
  };
  CHECK(without("## ") == "headings: 2 in the text, 1 in the answer");
  CHECK(without("```sh\n") ==
        "lines of code fences: 2 in the text, 1 in the answer; "
        "links: 2 in the text, 3 in the answer; ${user}: 1 in the text, 0 in the answer; "
        "and 4 more");
  CHECK(without("[the map](https://a.example/x)", "the map") ==
        "links: 2 in the text, 1 in the answer");
  CHECK(without("https://b.example") == "links: 2 in the text, 1 in the answer");
  CHECK(without("Hello {name}", "Hallo {Name}") ==
        "{name}: 1 in the text, 0 in the answer; {Name}: 0 in the text, 1 in the answer");
  CHECK(without("{{count}}") == "{{count}}: 1 in the text, 0 in the answer");
  CHECK(without("%d") == "%d: 1 in the text, 0 in the answer");
  CHECK(without("${user}") == "${user}: 1 in the text, 0 in the answer");
  CHECK(without("%1$s") == "%1$s: 1 in the text, 0 in the answer");
  CHECK(without("%(item)s") == "%(item)s: 1 in the text, 0 in the answer");
  CHECK(without("Hello", "Guten Tag").empty());
  // All of it in a fence of the model's own.
  CHECK(check.problem("# One\n\ntext\n", "```markdown\n# Eins\n\nText\n```") ==
        "headings: 1 in the text, 0 in the answer; "
        "lines of code fences: 0 in the text, 2 in the answer");
}

TEST_CASE("what only looks like a placeholder is none", "[structure]") {
  StructureCheck check;
  for (const char* text : {"\\section{Introduction}", "5 %d\xc3\xa9j\xc3\xa0", "100%sure", "a{b}",
                           "{two words}", "x = {1, 2}", "50%d"}) {
    INFO(text);
    CHECK(check.problem(text, "").empty());
  }
  CHECK(check.problem("Seite {0} von {1}", "Page {0} of {1}").empty());
  CHECK_FALSE(check.problem("Seite {0} von {1}", "Page {0}").empty());
}

}  // namespace docmill
