// --glossary: how terms are to be translated.

#include "tasks/glossary.h"

#include <catch2/catch.hpp>

#include "base/errors.h"
#include "tasks/task.h"

namespace docmill {
namespace {

std::string problem_of(const std::string& file) {
  try {
    glossary_prompt(file);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

std::string terms_of(const std::string& file) {
  const std::string prompt = glossary_prompt(file);
  return prompt.substr(prompt.find('\n') + 1);
}

}  // namespace

TEST_CASE("a glossary is read from CSV, TSV and what spreadsheets write", "[glossary]") {
  CHECK(terms_of("order,Auftrag\n\"bill, paid\",\"Rechnung\"\n") ==
        "order = Auftrag\nbill, paid = Rechnung");
  CHECK(terms_of("order\tAuftrag, der\tnoun\r\n\r\ninvoice\tRechnung\tnoun\r\n") ==
        "order = Auftrag, der\ninvoice = Rechnung");
  CHECK(terms_of("\xef\xbb\xbfSource;Target\norder;Auftrag") == "order = Auftrag");
  CHECK(terms_of("order,Auftrag\norder,Auftrag\n") == "order = Auftrag");
  CHECK(terms_of(std::string("\xff\xfeo\0r\0,\0B\0\n\0", 12)) == "or = B");
}

TEST_CASE("what is wrong with a glossary is named by its line", "[glossary]") {
  CHECK(problem_of("a,b\r\n\r\nlonely\r\n").find("line 3: \"lonely\"") != std::string::npos);
  CHECK(problem_of("a,\n").find("line 1") != std::string::npos);
  CHECK(problem_of("a,b\na,c\n").find("line 2: \"a\" has another") != std::string::npos);
  CHECK_FALSE(problem_of("").empty());
  CHECK(problem_of("source,target\n").find("no term") != std::string::npos);
  std::string many;
  for (std::size_t i = 0; i <= kMaxGlossaryTerms; ++i) many += "t" + std::to_string(i) + ",x\n";
  CHECK(problem_of(many).find("1,001 terms") != std::string::npos);
}

TEST_CASE("a glossary stands in the prompt of a translation and of nothing else", "[glossary]") {
  TaskParameters given;
  given.to = "German";
  given.glossary = glossary_prompt("order,Auftrag\n");
  CHECK(make_spec("translate", given).system.ends_with("\norder = Auftrag"));
  OwnTask own;
  own.kind = TaskKind::translate;
  own.system = "To {{to}}.";
  CHECK(make_spec("mine", given, &own).system == "To German.\n\n" + given.glossary);
  given.to.clear();
  CHECK_THROWS_AS(make_spec("summarise", given), UsageError);
}

}  // namespace docmill
