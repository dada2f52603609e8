// What the log says to programs.

#include "tests/process/mill_test.h"

namespace docmill::process_test {

using nlohmann::json;

TEST_CASE_METHOD(MillTest, "as JSON all of stderr is objects, and errors are among them",
                 "[process]") {
  simulate("--mix 500=0.3");
  configure(
      "[worker]\nretry_base = \"1ms\"\n[providers.sim]\nbase_url = \"@URL@\"\n"
      "[models.m]\nprovider = \"sim\"\ninput = 1\noutput = 1\n");
  write_texts("docs.jsonl", 20);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  const auto lines_of = [&](const std::string& words) {
    Ran ran = docmill(words);
    ran.out = ran.err;
    return ran.lines();  // throws where a line is no JSON
  };
  const auto has = [](const std::vector<json>& lines, const std::string& level,
                      const std::string& message) {
    return std::any_of(lines.begin(), lines.end(), [&](const json& line) {
      return line.at("level") == level &&
             line.at("message").get<std::string>().find(message) != std::string::npos;
    });
  };
  const auto worked = lines_of("work --drain --log json --verbose");
  CHECK(has(worked, "info", "batch=b finished"));
  const auto failed = std::find_if(worked.begin(), worked.end(),
                                   [](const json& line) { return line.contains("outcome"); });
  REQUIRE(failed != worked.end());
  CHECK(failed->at("outcome") == "server_error");
  CHECK(failed->at("model") == "m");
  CHECK_FALSE(failed->at("request").get<std::string>().empty());
  CHECK(failed->at("time").get<std::string>().size() == 24);

  env["DOCMILL_LOG"] = "json";
  CHECK(has(lines_of("work --drain --batch nope"), "error", "there is no batch \"nope\""));
  write("docmill.toml", "[worker]\nin_flights = 3\n");
  CHECK(has(lines_of("work --drain"), "error", "in_flights"));
  CHECK(docmill("work --log xml").code == 2);
}

}  // namespace docmill::process_test
