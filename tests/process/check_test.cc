// docmill check: what is wrong before a run begins.

#include <sys/stat.h>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

class CheckTest : public MillTest {
 protected:
  static bool has(const Ran& ran, const std::string& line) {
    return ran.out.find(line) != std::string::npos;
  }
};

}  // namespace

TEST_CASE_METHOD(CheckTest, "check --live asks each model, and every request is in the ledger",
                 "[process]") {
  simulate("");
  env["MILL_TEST_KEY"] = "sk-check-0123456789";
  configure(R"toml(
[worker]
retry_base = "10ms"
max_tries = 2
[providers.sim]
base_url = "@URL@"
key_env = "MILL_TEST_KEY"
[providers.nobody]
base_url = "http://127.0.0.1:9/v1"
[models.good]
provider = "sim"
input = 1
output = 1
[models.broken]
provider = "sim"
name = "broken+500=1"
input = 1
output = 1
[models.wrong]
provider = "sim"
name = "wrong+404=1"
input = 1
output = 1
)toml");
  const Ran ran = docmill("check --live");
  CHECK(ran.code == 2);
  CHECK(has(ran, "provider sim at " + url() + ": has a key"));
  CHECK(has(ran, "\nmodel good: answers, $0.0"));
  CHECK(has(ran, "PROBLEM: model broken: "));
  CHECK(has(ran, "PROBLEM: model wrong: "));
  CHECK(ran.err.find("2 problems to see to") != std::string::npos);
  StoreView store(store_file);
  CHECK(static_cast<std::size_t>(store.number("SELECT count(*) FROM attempt")) == sent_count());
  for (const LogLine& line : sent()) CHECK(line.has_key);
  // Nothing is left to be sent later.
  CHECK(store.number("SELECT count(*) FROM batch WHERE finished_at IS NULL") == 0);
}

TEST_CASE_METHOD(CheckTest, "check names keys, shutdowns, permissions, disk and clock",
                 "[process]") {
  simulate("");
  const auto config = [&](const std::string& model) {
    configure(
        "[providers.sim]\nbase_url = \"@URL@\"\n[providers.other]\nbase_url = "
        "\"https://api.example.com/v1\"\nkey_env = \"MILL_NO_SUCH_KEY\"\n[models.m]\nprovider "
        "= \"sim\"\ninput = 1\noutput = 1\n" +
        model);
  };
  config("");
  Ran ran = docmill("check");
  CHECK(ran.code == 2);
  CHECK(has(ran,
            "PROBLEM: provider other at https://api.example.com/v1: $MILL_NO_SUCH_KEY is not "
            "set"));
  CHECK(has(ran, "not there yet; submit makes it"));
  env["MILL_NO_SUCH_KEY"] = "k-0123456789";
  CHECK(docmill("check").code == 0);

  config("shuts_down = \"2026-01-31\"\n");
  CHECK(has(docmill("check"), "PROBLEM: model m: it was shut down on 2026-01-31"));
  config("shuts_down = \"2999-01-31\"\n");
  CHECK(docmill("check").code == 0);
  config("shuts_down = \"soon\"\n");
  CHECK(docmill("check").err.find("must be a day") != std::string::npos);
  config("");

  write_texts("docs.jsonl", 2);
  REQUIRE(docmill("run summarise docs.jsonl --batch b -o out.jsonl").code == 0);
  CHECK(docmill("check").code == 0);
  REQUIRE(chmod(store_file.c_str(), 0644) == 0);
  CHECK(has(docmill("check"), "everybody on this machine can open it; chmod o="));
  REQUIRE(chmod(store_file.c_str(), 0600) == 0);
  {
    SQLite::Database db(store_file.string(), SQLite::OPEN_READWRITE);
    db.exec("UPDATE worker SET seen_at = seen_at + 7200000");
  }
  CHECK(has(docmill("check"), "PROBLEM: the clock says "));
}

}  // namespace docmill::process_test
