// docmill selftest, and that its judge can find what it looks for.

#include <SQLiteCpp/SQLiteCpp.h>

#include <fstream>

#include "cli/audit.h"
#include "tests/process/books.h"

namespace docmill::process_test {

TEST_CASE_METHOD(MillTest, "selftest kills, counts, and finds nothing lost", "[process]") {
  const Ran ran = docmill("selftest --dir . --seconds 3");
  CAPTURE(ran.out, ran.err);
  CHECK(ran.code == 0);
  CHECK(ran.out.find(" 0 lost, 0 with another's result") != std::string::npos);
  CHECK(ran.out.find(", 0 of them not in the ledger") != std::string::npos);
  CHECK(ran.out.find("the file   ok") != std::string::npos);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    CHECK(entry.path().filename().string().find("selftest") == std::string::npos);
  }
}

TEST_CASE_METHOD(MillTest, "selftest's judge sees a lost request, a wrong result and a false bill",
                 "[process]") {
  simulate("");
  configure(R"toml(
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
input = 0.42
output = 0.84
)toml");
  AuditInputs inputs{"b", log_file, {}, 420'000, 840'000};
  for (const Text& text : write_texts("docs.jsonl", 20)) inputs.texts[text.id] = text.text;
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  REQUIRE(docmill("work --drain").code == 0);
  const auto judge = [&] {
    SqliteCommit commit;
    Database db(store_file, Access::read_only, commit);
    return audit(db, inputs);
  };
  const auto change = [&](const char* sql) {
    SQLite::Database db(store_file.string(), SQLite::OPEN_READWRITE);
    db.exec(sql);
  };
  CHECK(judge().holds());

  change("UPDATE job_output SET body = body || '.' WHERE job_id = 3");
  CHECK(judge().wrong == 1);
  CHECK_FALSE(judge().holds());
  change("UPDATE job_output SET body = rtrim(body, '.') || '.' WHERE job_id = 3");

  change("UPDATE attempt SET cost_pusd = cost_pusd + 1 WHERE id = 5");
  CHECK_FALSE(judge().holds());
  change("UPDATE attempt SET cost_pusd = cost_pusd - 1 WHERE id = 5");

  inputs.texts["never-there"] = "x";
  CHECK(judge().lost == 1);
  inputs.texts.erase("never-there");

  std::ofstream(log_file, std::ios::app)
      << R"({"client_request_id":"docmill-0-999999","prompt_tokens":0,"completion_tokens":0})"
      << "\n";
  CHECK(judge().unrecorded == 1);
  CHECK_FALSE(judge().holds());
}

}  // namespace docmill::process_test
