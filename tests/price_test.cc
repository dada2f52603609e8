// Prices: which rates a request is billed at, and which row is in force.

#include "base/clock.h"
#include "llm/price_book.h"
#include "store/hours.h"
#include "store/migrations.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kMonday = 1'764'547'200'000;  // 2025-12-01T00:00Z

std::string canonical(const std::string& text) {
  return canonical_hours(text).value_or("cannot be read");
}

Price rising() {
  Price price = ModelPrice{10, 1, 12, 40};
  price.variants = {{"", 200'000, "", {20, 2, 24, 60}},
                    {"flex", 0, "", {5, 1, 6, 20}},
                    {"", 0, "Mon,Tue,Wed,Thu,Fri 01:00-04:00", {11, 1, 13, 41}}};
  return price;
}

class PriceTest {
 public:
  PriceTest() : db(make(store.path / "s.db"), Access::read_write, commit), list(db) {}

  static std::filesystem::path make(const std::filesystem::path& file) {
    create_or_migrate(file);
    return file;
  }
  ListedPrice row(const std::string& origin, std::int64_t since_ms, std::int64_t rate) {
    return {{}, "openai", "gpt-4.1", since_ms, origin, "test", ModelPrice{rate, rate, rate, rate}};
  }
  std::int64_t listed(std::int64_t at_ms) {
    const auto found = list.listed("openai", "gpt-4.1", at_ms);
    return found ? found->price.base.input_pusd : 0;
  }

  Scratch store;
  SqliteCommit commit;
  Database db;
  PriceList list;
};

}  // namespace

TEST_CASE("hours are written one way") {
  CHECK(canonical("Mon-Fri 01:00-04:00, 06:00-10:00") ==
        "Mon,Tue,Wed,Thu,Fri 01:00-04:00,06:00-10:00");
  CHECK(canonical("22:00-06:00") == "Mon,Tue,Wed,Thu,Fri,Sat,Sun 22:00-06:00");
  CHECK(canonical("sat, sun") == "Sat,Sun 00:00-24:00");
  CHECK(canonical("Sat-Mon 09:30-10:00") == "Mon,Sat,Sun 09:30-10:00");
  CHECK(canonical(canonical("Sat-Mon 09:30-10:00")) == canonical("Sat-Mon 09:30-10:00"));
  for (const char* bad : {"", "Mon-", "noon", "01:00", "01:00-01:00", "24:00-25:00", "01:60-02:00",
                          "01:00-04:00 Mon", "Mon,,Tue", "1:00-2:00", "Mon-Tue-Wed", "-", ","}) {
    INFO(bad);
    CHECK_FALSE(canonical_hours(bad));
  }
}

TEST_CASE("a range of hours begins with its start and ends before its end") {
  const std::string peak = canonical("Mon-Fri 01:00-04:00");
  CHECK_FALSE(is_within(peak, kMonday + kHourMs - 1));
  CHECK(is_within(peak, kMonday + kHourMs));
  CHECK(is_within(peak, kMonday + 4 * kHourMs - 1));
  CHECK_FALSE(is_within(peak, kMonday + 4 * kHourMs));
  CHECK_FALSE(is_within(peak, kMonday + (5 * 24 + 2) * kHourMs));  // Saturday
  const std::string night = canonical("Fri 22:00-06:00");
  CHECK(is_within(night, kMonday + (4 * 24 + 23) * kHourMs));
  CHECK(is_within(night, kMonday + (5 * 24 + 5) * kHourMs));  // Saturday morning
  CHECK_FALSE(is_within(night, kMonday + (4 * 24 + 5) * kHourMs));
}

TEST_CASE("the whole request goes by the set of rates that fits best") {
  const Price price = rising();
  const std::int64_t noon = kMonday + 12 * kHourMs;
  CHECK(price.rates("", 200'000, noon).input_pusd == 10);
  CHECK(price.rates("", 200'001, noon).input_pusd == 20);
  CHECK(price.rates("flex", 1000, noon).input_pusd == 5);
  CHECK(price.rates("default", 1000, noon).input_pusd == 10);
  CHECK(price.rates("flex", 200'001, noon).input_pusd == 20);  // no flex rates of that size
  CHECK(price.rates("", 1000, kMonday + 2 * kHourMs).input_pusd == 11);
  const Usage usage{150'000, 50'001, 0, 10, 0, 0};
  CHECK(cost_pusd(usage, price, "", noon) == 150'000 * 20 + 50'001 * 2 + 10 * 60);
}

TEST_CASE("what is written to the cache for an hour has its own rate") {
  const ModelPrice rates{3, 1, 4, 15, 6};
  CHECK(cost_pusd(Usage{10, 20, 30, 5, 0, 12}, rates) == 30 + 20 + 18 * 4 + 12 * 6 + 75);
  CHECK(cost_pusd(Usage{10, 20, 30, 5, 0, 12}, ModelPrice{3, 1, 4, 15}) == 30 + 20 + 120 + 75);
}

TEST_CASE("priority has a price only where one is given") {
  Price price = rising();
  CHECK_FALSE(cost_pusd(Usage{1, 0, 0, 1, 0, 0}, price, "priority", kMonday));
  CHECK_FALSE(cost_pusd(Usage{1, 0, 0, 1, 0, 0}, price, "fast", kMonday));
  price.variants.push_back({"priority", 0, "", {17, 2, 20, 70}});
  CHECK(cost_pusd(Usage{1, 0, 0, 1, 0, 0}, price, "priority", kMonday) == 87);
  CHECK(cost_pusd(Usage{1, 0, 0, 1, 0, 0}, price, "fast", kMonday) == 87);
}

TEST_CASE("a ceiling is at the dearest rates that may apply") {
  CHECK(ceiling_pusd(1000, 10, rising()) == 1000 * 13 + 10 * 41);  // the peak's cache write
  CHECK(ceiling_pusd(200'001, 10, rising()) == 200'001 * 24 + 10 * 60);
  Price price = rising();
  price.variants.push_back({"priority", 0, "", {17, 2, 20, 70}});
  CHECK(ceiling_pusd(1000, 10, price) == 1000 * 13 + 10 * 41);
  CHECK(ceiling_pusd(1000, 10, price, "priority") == 1000 * 20 + 10 * 70);
}

TEST_CASE_METHOD(PriceTest, "an unchanged price is one row, a changed one a new row") {
  Transaction transaction(db);
  CHECK(list.add(row("config", 1000, 5)));
  CHECK_FALSE(list.add(row("config", 2000, 5)));
  CHECK(list.add(row("config", 3000, 6)));
  CHECK(list.add(row("config", 4000, 5)));  // and back
  CHECK(list.all().size() == 3);
  CHECK(list.in_force("config", "openai", "gpt-4.1", 3500)->price.base.input_pusd == 6);
  CHECK(list.in_force("config", "openai", "gpt-4.1", 4000)->price.base.input_pusd == 5);
  CHECK_FALSE(list.in_force("config", "openai", "gpt-4.1", 999));
}

TEST_CASE_METHOD(PriceTest, "set wins over import, import over what came with the program") {
  Transaction transaction(db);
  list.add(row("snapshot", 1000, 1));
  CHECK(listed(1000) == 1);
  list.add(row("import", 500, 2));
  CHECK(listed(1000) == 2);
  list.add(row("set", 2000, 3));
  CHECK(listed(1999) == 2);
  CHECK(listed(2000) == 3);
  list.add(row("config", 2000, 4));
  CHECK(listed(2000) == 3);  // the config's rows are its own
  CHECK(list.next_change_ms(1500) == 2000);
  CHECK_FALSE(list.next_change_ms(2000));
}

TEST_CASE_METHOD(PriceTest, "variants come back as they were written") {
  Transaction transaction(db);
  ListedPrice wanted = row("import", 1000, 5);
  wanted.price = rising();
  CHECK(list.add(wanted));
  CHECK_FALSE(list.add(wanted));
  const auto found = list.listed("openai", "gpt-4.1", 1000);
  REQUIRE(found);
  CHECK(found->price.variants.size() == 3);
  CHECK(cost_pusd(Usage{200'001, 0, 0, 1, 0, 0}, found->price, "", kMonday) == 200'001 * 20 + 60);
}

TEST_CASE("a vendor is known by its own host") {
  CHECK(vendor_of_host("https://api.openai.com/v1") == "openai");
  CHECK(vendor_of_host("https://API.openai.com:443/v1") == "openai");
  CHECK(vendor_of_host("https://api.openai.com.evil.example/v1").empty());
  CHECK(vendor_of_host("https://relay.example/api.openai.com").empty());
  CHECK(plain_model_name("openai/gpt-4.1-2025-04-14") == "gpt-4.1");
  CHECK(plain_model_name("claude-haiku-4-5-20251001") == "claude-haiku-4-5");
  CHECK(plain_model_name("gpt-4-32k") == "gpt-4-32k");
}

TEST_CASE_METHOD(PriceTest, "who answered is looked up before who was asked") {
  Transaction transaction(db);
  Providers providers;
  providers["mine"].name = "mine";
  providers["mine"].base_url = "https://api.openai.com/v1";
  Models models;
  for (const char* key : {"big", "tiny", "unknown"}) {
    Model& model = models[key];
    model.key = key;
    model.name = std::string(key) + "-name";
    model.provider = "mine";
  }
  models["big"].price = ModelPrice{8, 8, 8, 8};
  models["tiny"].price = ModelPrice{2, 2, 2, 2};
  list.add(row("import", 1000, 5));
  PriceBook book(list, providers, models);
  book.refresh(1000);
  const auto rate = [&](const std::string& key, const std::string& returned) {
    const auto found = book.returned(key, returned, book.asked(key), 1000);
    return found ? found->price.base.input_pusd : 0;
  };
  CHECK(rate("big", "") == 8);
  CHECK(rate("big", "big-name-2026-01-01") == 8);
  CHECK(rate("big", "tiny-name") == 2);
  CHECK(rate("big", "gpt-4.1") == 5);             // of the vendor's list
  CHECK(rate("big", "gpt-4.1-2025-04-14") == 5);  // the same, dated
  CHECK(rate("big", "nobody") == 8);
  const std::optional<PriceRow> then = book.asked("tiny");  // as it was when the request was sent
  CHECK(book.returned("big", "big-name", then, 1000)->price.base.input_pusd == 2);
  CHECK(rate("unknown", "") == 0);
  CHECK(rate("unknown", "tiny-name") == 2);
  CHECK_FALSE(book.asked("unknown"));
}
