// What a config may not be, seen from the shell: exit 2, the reason, and nothing sent.

#include <fmt/format.h>
#include <sys/stat.h>

#include "tests/process/mill_test.h"

namespace docmill::process_test {
namespace {

constexpr const char* kPlainModel = R"toml(
[providers.sim]
base_url = "@URL@"
[models.only]
provider = "sim"
)toml";

}  // namespace

TEST_CASE_METHOD(MillTest, "a docmill.toml that others could have written is not used",
                 "[process]") {
  simulate("");
  configure(kPlainModel);
  write("a.txt", "A text.");
  env.erase("DOCMILL_CONFIG");
  const std::filesystem::path config = folder / "docmill.toml";

  REQUIRE(chmod(config.c_str(), 0666) == 0);
  const Ran refused = docmill("run summarise a.txt");
  CHECK(refused.code == 2);
  CHECK(refused.err.find("./docmill.toml is not used: others can write to it") !=
        std::string::npos);
  CHECK(refused.out.empty());
  CHECK(sent_count() == 0);
  CHECK_FALSE(std::filesystem::exists(store_file));

  REQUIRE(chmod(config.c_str(), 0644) == 0);
  REQUIRE(chmod(folder.c_str(), 0777) == 0);
  CHECK(docmill("run summarise a.txt").code == 2);
  CHECK(sent_count() == 0);

  REQUIRE(chmod(folder.c_str(), 0755) == 0);
  const Ran used = docmill("run summarise a.txt");
  CHECK(used.code == 0);
  CHECK(used.err.find("config: ./docmill.toml") != std::string::npos);
  CHECK(sent_count() == 1);
}

TEST_CASE_METHOD(MillTest, "a model's name with a bare dot is refused with the quoted form",
                 "[process]") {
  simulate("");
  write("a.txt", "A text.");
  configure(R"toml(
[providers.sim]
base_url = "@URL@"
[models.gpt-4.1]
provider = "sim"
)toml");
  for (const char* command : {"run summarise a.txt", "work --drain", "check", "status"}) {
    const Ran ran = docmill(command);
    CAPTURE(command, ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find("[models.\"gpt-4.1\"]") != std::string::npos);
    CHECK(ran.err.find("docmill.toml:6:") != std::string::npos);
  }
  CHECK(sent_count() == 0);
  CHECK_FALSE(std::filesystem::exists(store_file));

  configure(R"toml(
[providers.sim]
base_url = "@URL@"
[models."gpt-4.1"]
provider = "sim"
)toml");
  CHECK(docmill("run summarise a.txt").code == 0);
  CHECK(sent().front().model == "gpt-4.1");
}

TEST_CASE_METHOD(MillTest, "a mistyped key, flag, command, task or model names what was meant",
                 "[process]") {
  simulate("");
  write("a.txt", "A text.");
  configure(kPlainModel);
  const struct {
    const char* words;
    const char* meant;
  } mistakes[] = {{"sumbit summarise a.txt", "did you mean \"submit\"?"},
                  {"submit sumarise a.txt", "did you mean \"summarise\"?"},
                  {"submit summarise a.txt --max-cots 5", "did you mean --max-cost?"},
                  {"submit summarise a.txt --models onyl", "did you mean \"only\"?"},
                  {"submit summarise nowhere/", "nowhere/: no such file or folder"},
                  {"submit summarise a.txt --max-cost much", "--max-cost"},
                  {"submit translate a.txt", "--to"},
                  {"submit extract a.txt", "--fields"},
                  {"submit summarise a.txt --to German", "--to"}};
  for (const auto& mistake : mistakes) {
    const Ran ran = docmill(mistake.words);
    CAPTURE(mistake.words, ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(mistake.meant) != std::string::npos);
    CHECK(ran.out.empty());
  }
  configure(std::string(kPlainModel) + "[worker]\nin_fligth = 3\n");
  const Ran ran = docmill("submit summarise a.txt");
  CHECK(ran.code == 2);
  CHECK(ran.err.find("in_flight") != std::string::npos);
  CHECK(ran.err.find("docmill.toml:9:") != std::string::npos);
  CHECK(sent_count() == 0);
}

}  // namespace docmill::process_test
