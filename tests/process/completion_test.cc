// docmill completion: what a shell makes of it.

#include "tests/process/mill_test.h"

namespace docmill::process_test {

TEST_CASE_METHOD(MillTest, "bash completes commands and flags", "[process]") {
  const Ran script = docmill("completion bash");
  REQUIRE(script.code == 0);
  write("docmill.bash", script.out);
  write("ask.bash",
        "source docmill.bash\n"
        "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _docmill; echo \"${COMPREPLY[@]}\"\n");
  const auto completed = [&](std::vector<std::string> words) {
    Command command;
    command.argv = {"/bin/bash", "ask.bash"};
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    command.env = {{"PATH", "/usr/bin:/bin"}};
    command.cwd = folder;
    command.out = folder / ("completed-" + words.back());
    Process shell(command);
    const std::optional<Exit> exit = shell.wait(20'000);
    REQUIRE(exit);
    CHECK(exit->code == 0);
    return read(command.out);
  };
  CHECK(completed({"docmill", "resu"}) == "results resume\n");
  CHECK(completed({"docmill", "submit", "--max"}) == "--max-cost\n");
  CHECK(completed({"docmill", "--store", "x", "prices", "im"}) == "import\n");
  CHECK(completed({"docmill", "prices", "import", "--eff"}) == "--effective\n");
  CHECK(completed({"docmill", "results", "b", "--conf"}) == "--config\n");
  CHECK(completed({"docmill", "results", "b", "no-such"}) == "\n");
  CHECK(docmill("completion tcsh").code == 2);
}

TEST_CASE_METHOD(MillTest, "every command and flag of the help is in every shell's script",
                 "[process]") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = docmill(std::string("completion ") + shell).out;
    CAPTURE(shell);
    for (const char* word : {"submit", "trial", "max-cost", "glossary", "allow-blank-pages",
                             "import", "store", "completion"}) {
      CAPTURE(word);
      CHECK(script.find(word) != std::string::npos);
    }
  }
}

TEST_CASE_METHOD(MillTest, "every command of the help is in the man page", "[process]") {
  const Ran page = docmill("man");
  REQUIRE(page.code == 0);
  const std::string help = docmill("--help").out;
  std::size_t at = help.find("Subcommands:\n");
  REQUIRE(at != std::string::npos);
  int commands = 0;
  for (at = help.find("\n  ", at); at != std::string::npos; at = help.find("\n  ", at + 1)) {
    const std::string name = help.substr(at + 3, help.find(' ', at + 3) - at - 3);
    if (name.empty()) continue;
    INFO(name);
    CHECK(page.out.find(".SS \\fB" + name + "\\fR") != std::string::npos);
    ++commands;
  }
  CHECK(commands > 15);
  CHECK(help.find("\n  man ") == std::string::npos);
  CHECK(page.out.find("\\fB\\-\\-max\\-cost\\fR \\fIVALUE\\fR") != std::string::npos);
}

}  // namespace docmill::process_test
