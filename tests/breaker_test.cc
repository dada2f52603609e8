#include "worker/breaker.h"

#include <vector>

#include "tests/catch.h"

namespace docmill {
namespace {

using Verdict = Breaker::Verdict;

struct Row {
  Breaker breaker{{3, 1000}};  // opens after 3 in a row, for 1,000 ms
  std::vector<Breaker::Ticket> left;

  explicit Row(int requests) {
    for (int i = 0; i < requests; ++i) left.push_back(breaker.start());
  }
  void end(std::size_t request, Verdict verdict) { breaker.end(left.at(request), verdict, 0); }
  bool is_open() const { return breaker.closed_until_ms(0).has_value(); }
};

}  // namespace

TEST_CASE("a row of failures is one by the order in which requests left") {
  Row row(5);
  row.end(0, Verdict::failed);
  row.end(3, Verdict::failed);
  row.end(4, Verdict::failed);
  CHECK_FALSE(row.is_open());  // 1 and 2 are not back
  row.end(1, Verdict::failed);
  CHECK_FALSE(row.is_open());
  row.end(2, Verdict::failed);  // joins the two
  CHECK(row.is_open());
  CHECK(row.breaker.failures_in_a_row() == 5);
}

TEST_CASE("what says nothing of the provider neither ends a row nor counts in it") {
  Row row(5);
  row.end(1, Verdict::nothing);
  row.end(3, Verdict::nothing);
  row.end(0, Verdict::failed);
  row.end(2, Verdict::failed);
  CHECK_FALSE(row.is_open());
  SECTION("a third failure opens it") {
    row.end(4, Verdict::failed);
    CHECK(row.is_open());
    CHECK(row.breaker.failures_in_a_row() == 3);
  }
  SECTION("an answer does not") {
    row.end(4, Verdict::well);
    CHECK_FALSE(row.is_open());
  }
}

TEST_CASE("a request that was forgotten does not count, and the last of those remembered does") {
  Row row(1003);
  for (std::size_t i : {0, 1, 2}) row.end(i, Verdict::failed);
  CHECK_FALSE(row.is_open());
  for (std::size_t i : {3, 4, 5}) row.end(i, Verdict::failed);
  CHECK(row.is_open());
}

TEST_CASE("requests of the time before it opened do not count after its probe") {
  Row row(4);
  for (std::size_t i : {0, 1, 2}) row.end(i, Verdict::failed);
  REQUIRE(row.is_open());
  CHECK_FALSE(row.breaker.closed_until_ms(1000));
  row.breaker.end(row.breaker.start(), Verdict::well, 1000);
  CHECK_FALSE(row.is_open());
  const Breaker::Ticket a = row.breaker.start(), b = row.breaker.start();
  row.breaker.end(a, Verdict::failed, 1000);
  row.breaker.end(b, Verdict::failed, 1000);
  row.end(3, Verdict::failed);
  CHECK_FALSE(row.is_open());
}

}  // namespace docmill
