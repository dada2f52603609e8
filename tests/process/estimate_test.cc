// Before a run: the dry run, the rehearsal, and what a first run without a config says.

#include <fmt/format.h>

#include "tests/process/mill_test.h"

namespace docmill::process_test {
namespace {

constexpr const char* kPriced = R"toml(
[providers.sim]
base_url = "@URL@"
key_file = "no-such-key"
[models.m]
provider = "sim"
input = 3
output = 15
)toml";

class EstimateProcessTest : public MillTest {
 protected:
  bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
};

}  // namespace

TEST_CASE_METHOD(EstimateProcessTest, "a dry run tells what is new, and its cost as a range",
                 "[process]") {
  simulate("");
  configure(std::string(kPriced).replace(std::string(kPriced).find("key_file"), 24, ""));
  write_texts("docs.jsonl", 40);
  const Ran before = docmill("submit summarise docs.jsonl --dry-run --max-cost 2");
  CHECK(before.code == 0);
  CHECK(says(before.out, "40 new, 0 changed, 0 unchanged"));
  CHECK(says(before.out, "none was timed yet"));
  CHECK(says(before.out, "cap     $2.00 is enough"));
  CHECK_FALSE(std::filesystem::exists(store_file));
  REQUIRE(docmill("run summarise docs.jsonl --batch b -o out.jsonl").code == 0);
  const std::size_t sent_before = sent_count();

  const Ran same = docmill("submit summarise docs.jsonl --batch b --dry-run");
  CHECK(says(same.out, "0 new, 0 changed, 40 unchanged"));
  CHECK_FALSE(says(same.out, "cost"));
  write_texts("more.jsonl", 60);
  const Ran more = docmill("submit summarise more.jsonl --batch c --dry-run");
  CHECK_FALSE(says(more.out, "none was timed yet"));  // the first batch told
  const Ran other = docmill("submit translate --to de docs.jsonl --batch b --dry-run");
  CHECK(other.code == 2);
  CHECK(sent_count() == sent_before);
}

TEST_CASE_METHOD(EstimateProcessTest, "a rehearsal sends nothing, needs no key and leaves nothing",
                 "[process]") {
  simulate("");
  configure(kPriced);
  write_texts("docs.jsonl", 40);
  env["TMPDIR"] = (folder / "tmp").string();
  std::filesystem::create_directory(folder / "tmp");
  const Ran ran = docmill("run summarise docs.jsonl --rehearse --out answers");
  CHECK(ran.code == 0);
  CHECK(says(ran.out, "40 of 40 documents"));
  CHECK(says(ran.out, "nothing was paid"));
  CHECK(sent_count() == 0);
  CHECK_FALSE(std::filesystem::exists(store_file));
  CHECK_FALSE(std::filesystem::exists(folder / "answers"));
  CHECK(std::filesystem::is_empty(folder / "tmp"));

  const Ran capped = docmill("submit summarise docs.jsonl --rehearse --max-cost 0.05");
  CHECK(capped.code == 4);
  CHECK(says(capped.out, "cap"));
  CHECK(docmill("run summarise docs.jsonl --rehearse --dry-run").code == 2);
}

TEST_CASE_METHOD(EstimateProcessTest, "without a config a vendor's usual variable is enough",
                 "[process]") {
  simulate("--api-key test-key-1");
  env.erase("DOCMILL_CONFIG");
  write_texts("docs.jsonl", 5);
  const Ran nothing = docmill("run summarise docs.jsonl");
  CHECK(nothing.code == 2);
  CHECK(says(nothing.err, "OPENAI_API_KEY"));
  env["OPENAI_API_KEY"] = "test-key-1";
  env["OPENAI_BASE_URL"] = url();
  const Ran ran = docmill(
      "--store store.db run summarise docs.jsonl --models openai/gpt-4.1-mini -o out.jsonl");
  CHECK(ran.code == 0);
  CHECK(sent_count() == 5);
  const auto totals = docmill("--store store.db report --format json").json().at("totals");
  CHECK(totals.at("unpriced_requests") == 0);
  CHECK(totals.at("cost_usd") != "0.00");
  const Ran list = docmill("--store store.db prices list");
  CHECK(says(list.out, "gpt-4.1-mini"));
  CHECK(says(list.out, "2026-11-23"));  // the snapshot's date
}

}  // namespace docmill::process_test
