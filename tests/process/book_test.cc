// A book, and workers that are killed while its pieces are out.

#include <fmt/format.h>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

constexpr const char* kSmallContext = R"toml(
[worker]
in_flight = 8
retry_base = "10ms"
retry_cap = "50ms"
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
name = "m+latency=15ms"
input = 0.42
output = 0.84
context_tokens = 2200
max_output_tokens = 1024
)toml";

std::string a_book(int paragraphs) {
  std::string text;
  for (int i = 0; i < paragraphs; ++i) {
    if (i % 40 == 0) text += fmt::format("# Chapter {}\n\n", i / 40 + 1);
    for (int word = 0; word < 60; ++word) text += fmt::format("word{}of{} ", word, i);
    text += "ends.\n\n";
  }
  return text;
}

}  // namespace

TEST_CASE_METHOD(MillTest,
                 "a book survives kills: no piece is paid for twice, and it is one result",
                 "[process]") {
  simulate("");
  configure(kSmallContext);
  write("book.md", a_book(3000));
  REQUIRE(docmill("submit summarise book.md --batch book").code == 0);
  for (const std::size_t at : {100u, 200u, 400u}) {
    Process worker = start("work --drain");
    REQUIRE(becomes_true(60'000, [&] { return sent_count() >= at; }));
    worker.kill();
  }
  CHECK(docmill("work --drain").code == 0);

  StoreView store(store_file);
  CHECK(store.number("SELECT count(*) FROM job WHERE parent_id IS NOT NULL") > 1000);
  CHECK(store.number("SELECT count(*) FROM job WHERE state != 'done'") == 0);
  CHECK(store.number("SELECT count(*) FROM (SELECT 1 FROM attempt WHERE outcome = 'answered' "
                     "GROUP BY job_id HAVING count(*) > 1)") == 0);
  // In flight at a kill: at most the slots.
  CHECK(store.number("SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'") <= 3 * 8);
  CHECK(breaches_of_ledger(store, sent()) == Breaches());
  const Ran results = docmill("results book");
  REQUIRE(results.lines().size() == 1);
  CHECK(results.lines()[0].at("state") == "done");
  const auto totals = docmill("report book --format json").json().at("totals");
  CHECK(totals.at("jobs") == 1);
  CHECK(totals.at("requests") == store.number("SELECT count(*) FROM attempt"));
  const Ran told = docmill("explain book book.md");
  CHECK(told.out.find("cut into") != std::string::npos);
  CHECK(told.out.find("piece 1.1 #1 m") != std::string::npos);
}

}  // namespace docmill::process_test
