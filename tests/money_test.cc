#include "base/money.h"

#include "store/price.h"
#include "tests/catch.h"

using namespace docmill;

TEST_CASE("money is written with every digit and no more") {
  CHECK(exact_usd(0) == "0.00");
  CHECK(exact_usd(1) == "0.000000000001");
  CHECK(exact_usd(1'260'000) == "0.00000126");
  CHECK(exact_usd(25 * kPusdPerUsd) == "25.00");
  CHECK(exact_usd(-kPusdPerUsd / 2) == "-0.50");
  CHECK(exact_usd(9'223'372'036'854'775'807) == "9223372.036854775807");
}

TEST_CASE("money for people is rounded half away from zero") {
  CHECK(human_usd(18'241'300'000'000) == "$18.24");
  CHECK(human_usd(16'400'000'000) == "$0.0164");
  CHECK(human_usd(4'000'000) == "$0.000004");
  CHECK(human_usd(0) == "$0.00");
  CHECK(human_usd(1'234'567 * kPusdPerUsd) == "$1,234,567.00");
  CHECK(column_usd(49'999'999) == "$0.0000");
  CHECK(column_usd(50'000'000) == "$0.0001");
}

TEST_CASE("amounts are read exactly or not at all") {
  CHECK(parse_usd("25") == 25 * kPusdPerUsd);
  CHECK(parse_usd("$0.042") == 42'000'000'000);
  CHECK(parse_usd("0.000000000001") == 1);
  CHECK(parse_usd(".5") == kPusdPerUsd / 2);
  for (const char* bad :
       {"", ".", "$", "-1", "1e3", "0.0000000000001", "1,000", "99999999", "1.2.3", " 1", "1 "}) {
    INFO(bad);
    CHECK_FALSE(parse_usd(bad));
  }
}

TEST_CASE("cost is tokens times price, bucket by bucket") {
  // DeepSeek's V3.2 by its list: 0.28 fresh, 0.028 cached, 0.42 out, USD a million.
  const ModelPrice price{280'000, 28'000, 280'000, 420'000};
  const Usage usage{1000, 9000, 0, 500, 200};
  CHECK(cost_pusd(usage, price) == 280'000'000 + 252'000'000 + 210'000'000);
  CHECK(exact_usd(cost_pusd(usage, price)) == "0.000742");
}

TEST_CASE("the source article's month comes out to the cent") {
  // 1,000,000 requests of 500 tokens, input price = output price.
  const auto month = [](std::int64_t price) {
    const ModelPrice rates{price, price, price, price};
    return human_usd(1'000'000 * cost_pusd(Usage{400, 0, 0, 100, 0}, rates));
  };
  CHECK(month(420'000) == "$210.00");
  CHECK(month(2'500'000) == "$1,250.00");
  CHECK(month(8'000'000) == "$4,000.00");
  CHECK(month(15'000'000) == "$7,500.00");
}

TEST_CASE("a ceiling takes the dearest rate of the input") {
  const ModelPrice price{3, 1, 4, 15};
  CHECK(ceiling_pusd(100, 10, price) == 100 * 4 + 10 * 15);
  // At the bounds nothing overflows.
  const ModelPrice dearest{kMaxPricePusd, kMaxPricePusd, kMaxPricePusd, kMaxPricePusd};
  CHECK(ceiling_pusd(kMaxTokens, kMaxTokens, dearest) == 2'000'000'000'000'000'000);
}

TEST_CASE("a sum that does not fit is none") {
  CHECK(add_pusd(1, 2) == 3);
  CHECK_FALSE(add_pusd(9'223'372'036'854'775'807, 1));
}
