// [tasks.NAME] of the user's own: prompts, kinds and schemas, refused where they stand.

#include <string>

#include "config/config.h"
#include "tests/catch.h"
#include "tests/config_text.h"

using namespace docmill;
using namespace docmill::config_text;

TEST_CASE("tasks of the user's own are checked where they stand") {
  const std::string base = kBase + "[models.a]\nprovider = \"acme\"\n";
  const Config config = parse(base + R"([tasks.minutes]
prompt = "Decisions: {{text}}"
system = "Answer as {{schema}} says."
kind = "extract"
schema = { type = "object", required = ["decisions"] }
[tasks.summarise]
system = "Be brief."
[tasks.translate]
max_output_tokens = 10
)");
  REQUIRE(config.tasks.at("minutes").own);
  CHECK(config.tasks.at("minutes").own->kind == TaskKind::extract);
  CHECK(config.tasks.at("minutes").own->schema_text.find("\"decisions\"") != std::string::npos);
  CHECK(config.tasks.at("summarise").own->system == "Be brief.");
  CHECK_FALSE(config.tasks.at("translate").own);
  const auto task = [&](const std::string& text) { return parse(base + "[tasks.x]\n" + text); };
  CHECK_THROWS_WITH(task("prompt = \"{{txt}}\""),
                    Catch::Contains("\"prompt\": line 1, column 1: there is no {{txt}}"));
  CHECK_THROWS_WITH(task("prompt = \"{{text}}\"\nschema = \"no.json\""),
                    Catch::Contains("there is no file"));
  CHECK_THROWS_WITH(task("prompt = \"{{text}}\"\nschema = { kind = 1 }"), Catch::Contains("kind"));
  CHECK_THROWS_WITH(task("max_output_tokens = 5"), Catch::Contains("prompt"));
}
