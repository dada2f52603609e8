// The headers in which providers state their limits, as they were seen on the wire.

#include "llm/rate_headers.h"

#include "tests/catch.h"

using namespace docmill;

namespace {

// 2026-11-24T10:00:00Z
constexpr std::int64_t kNow = 1'795'514'400'000;

std::optional<RateHint> hint(std::vector<Header> headers, Meter meter = Meter::requests) {
  HttpReply reply;
  reply.received_at_ms = kNow;
  reply.headers = std::move(headers);
  return read_rate_headers(reply)[static_cast<std::size_t>(meter)];
}

std::optional<std::int64_t> reset(const char* text) {
  const auto found = hint({{"x-ratelimit-limit-requests", "500"},
                           {"x-ratelimit-remaining-requests", "400"},
                           {"x-ratelimit-reset-requests", text}});
  REQUIRE(found);
  return found->full_in_ms;
}

}  // namespace

TEST_CASE("rate headers: when a limit is full again") {
  struct Row {
    const char* text;
    std::optional<std::int64_t> ms;
  };
  for (const Row& row : {Row{"4ms", 4},
                         {"12ms", 12},
                         {"1s", 1000},
                         {"39.801s", 39'801},
                         {"1m4.296s", 64'296},
                         {"6m0s", 360'000},
                         {"1h2m3s", 3'723'000},
                         {"59", 59'000},
                         {"0", 0},
                         {"1795514460", 60'000},
                         {"1795514460500", 60'500},
                         {"2026-11-24T10:00:30Z", 30'000},
                         {"2026-11-24T10:00:30.5Z", 30'000},
                         {"2026-11-24T09:59:59Z", 0},  // in whole seconds, and over by now
                         {"2026-13-24T10:00:30Z", std::nullopt},
                         {"2026-11-24 10:00:30", std::nullopt},
                         {"-1", std::nullopt},
                         {"soon", std::nullopt},
                         {"", std::nullopt}}) {
    INFO(row.text);
    CHECK(reset(row.text) == row.ms);
  }
}

TEST_CASE("rate headers: of whom and of what") {
  const auto anthropic = hint({{"anthropic-ratelimit-input-tokens-limit", "400000"},
                               {"anthropic-ratelimit-input-tokens-remaining", "399000"},
                               {"anthropic-ratelimit-input-tokens-reset", "2026-11-24T10:00:01Z"}},
                              Meter::input_tokens);
  REQUIRE(anthropic);
  CHECK(anthropic->limit == 400'000);
  CHECK(anthropic->remaining == 399'000);
  CHECK(anthropic->full_in_ms == 1000);

  const auto openrouter = hint({{"x-ratelimit-limit", "20"},
                                {"x-ratelimit-remaining", "3"},
                                {"x-ratelimit-reset", "1795514460000"}});
  REQUIRE(openrouter);
  CHECK(openrouter->remaining == 3);
  CHECK(openrouter->full_in_ms == 60'000);

  const auto draft = hint({{"ratelimit-limit", "100"}, {"ratelimit-remaining", "99"}});
  REQUIRE(draft);
  CHECK_FALSE(draft->full_in_ms);
}

TEST_CASE("rate headers: what makes no sense is not there") {
  CHECK_FALSE(hint({}));
  CHECK_FALSE(hint({{"x-ratelimit-limit-requests", "500"}}));
  for (const char* left : {"-1", "501", "many", "1e400", "NaN", ""}) {
    INFO(left);
    CHECK_FALSE(
        hint({{"x-ratelimit-limit-requests", "500"}, {"x-ratelimit-remaining-requests", left}}));
  }
  CHECK_FALSE(hint({{"x-ratelimit-limit-requests", "0"}, {"x-ratelimit-remaining-requests", "0"}}));
}

TEST_CASE("rate headers: Retry-After in each of its forms") {
  const auto wait = [](std::vector<Header> headers) {
    HttpReply reply;
    reply.headers = std::move(headers);
    return retry_after_ms(reply, kNow);
  };
  CHECK(wait({{"retry-after", "7"}}) == 7000);
  CHECK(wait({{"retry-after", "0.25"}}) == 250);
  CHECK(wait({{"retry-after", "Tue, 24 Nov 2026 10:00:20 GMT"}}) == 20'000);
  CHECK(wait({{"retry-after", "Tue, 24 Nov 2026 09:00:00 GMT"}}) == 0);
  CHECK(wait({{"retry-after-ms", "1500.5"}, {"retry-after", "9"}}) == 1501);
  CHECK(wait({{"retry-after", "later"}}) == std::nullopt);
  CHECK(wait({{"retry-after", "-5"}}) == std::nullopt);
  CHECK(wait({}) == std::nullopt);
}
