// Lists of prices: LiteLLM's map, our own TOML, and what came with the program.

#include <cstdlib>

#include "base/errors.h"
#include "config/known.h"
#include "config/price_file.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

// A cut of our own making, in the map's shape.
constexpr const char* kMap = R"json({
  "sample_spec": {"litellm_provider": "one of", "mode": "chat", "input_cost_per_token": 0.0},
  "gpt-x": {"litellm_provider": "openai", "mode": "chat",
    "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06,
    "cache_read_input_token_cost": 5e-07,
    "input_cost_per_token_batches": 1e-06, "output_cost_per_token_batches": 4e-06,
    "input_cost_per_token_priority": 3.5e-06, "cache_read_input_token_cost_priority": 8.75e-07},
  "claude-x": {"litellm_provider": "anthropic", "mode": "chat",
    "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
    "input_cost_per_token_above_200k_tokens": 6e-06,
    "output_cost_per_token_above_200k_tokens": 2.25e-05,
    "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06},
  "deepseek-y": {"litellm_provider": "deepseek", "mode": "chat",
    "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
  "deepseek/deepseek-y": {"litellm_provider": "deepseek", "mode": "chat",
    "input_cost_per_token": 2.8e-07, "output_cost_per_token": 4.2e-07,
    "input_cost_per_token_cache_hit": 2.8e-08,
    "off_peak_pricing": {"hours_utc": "16:30-00:30", "input_cost_per_token": 1.4e-07,
                         "output_cost_per_token": 2.1e-07}},
  "xai/grok-x": {"litellm_provider": "xai", "mode": "chat",
    "input_cost_per_token": 2e-07, "output_cost_per_token": 5e-07,
    "input_cost_per_token_above_128k_tokens": 4e-07},
  "dashscope/q": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
    {"range": [0, 256000.0], "input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07},
    {"range": [256000.0, 1000000.0], "input_cost_per_token": 2.5e-07,
     "output_cost_per_token": 2e-06}]},
  "thinker": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 2e-06,
    "output_cost_per_token": 8e-06, "output_cost_per_reasoning_token": 3e-06},
  "by-request": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 1e-06,
    "output_cost_per_token": 1e-06, "input_cost_per_request": 0.005},
  "free": {"litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0,
    "output_cost_per_token": 0},
  "noisy": {"litellm_provider": "databricks", "mode": "chat",
    "input_cost_per_token": 5.00030000001e-07, "output_cost_per_token": 1.5000200000000002e-06},
  "finer": {"litellm_provider": "databricks", "mode": "chat",
    "input_cost_per_token": 5.000003e-07, "output_cost_per_token": 1e-06},
  "embedding": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1e-07,
    "output_cost_per_token": 0.0},
  "hostile": {"litellm_provider": 7, "mode": "chat", "input_cost_per_token": "1"},
  "huge": {"litellm_provider": "p", "mode": "chat", "input_cost_per_token": 1e300,
    "output_cost_per_token": -1}
})json";

const Price& price_of(const PriceFile& file, const std::string& provider,
                      const std::string& model) {
  for (const ListedPrice& listed : file.prices) {
    if (listed.provider == provider && listed.model == model) return listed.price;
  }
  FAIL("no " << provider << "/" << model);
  throw 0;
}

std::string why_skipped(const PriceFile& file, const std::string& model) {
  for (const SkippedPrice& skipped : file.skipped) {
    if (skipped.model == model) return skipped.why;
  }
  return "it was not";
}

std::string complaint(const std::string& toml) {
  try {
    parse_price_toml(toml, "p.toml", 0);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("the price map's rates, tiers, sizes and hours") {
  const PriceFile file = parse_price_map(kMap, "map.json", 1000);
  const Price& gpt = price_of(file, "openai", "gpt-x");
  CHECK(gpt.base == ModelPrice{2'000'000, 500'000, 2'000'000, 8'000'000, 2'000'000});
  CHECK(gpt.rates("batch", 10, 0) ==
        ModelPrice{1'000'000, 500'000, 1'000'000, 4'000'000, 1'000'000});
  CHECK(gpt.rates("priority", 10, 0) ==
        ModelPrice{3'500'000, 875'000, 3'500'000, 8'000'000, 3'500'000});
  const Price& claude = price_of(file, "anthropic", "claude-x");
  CHECK(claude.rates("", 200'000, 0) ==
        ModelPrice{3'000'000, 300'000, 3'750'000, 15'000'000, 6'000'000});
  CHECK(claude.rates("", 200'001, 0) ==
        ModelPrice{6'000'000, 300'000, 7'500'000, 22'500'000, 12'000'000});
  const Price& grok = price_of(file, "xai", "grok-x");
  CHECK(grok.rates("", 127'999, 0).input_pusd == 200'000);
  CHECK(grok.rates("", 128'000, 0).input_pusd == 400'000);  // there it is "at least"
  const Price& ranges = price_of(file, "dashscope", "q");
  CHECK(ranges.rates("", 256'000, 0).output_pusd == 400'000);
  CHECK(ranges.rates("", 256'001, 0).output_pusd == 2'000'000);
}

TEST_CASE("a model under its provider's name is closer than under its own") {
  const PriceFile file = parse_price_map(kMap, "map.json", 0);
  const Price& price = price_of(file, "deepseek", "deepseek-y");
  CHECK(price.base.input_pusd == 280'000);
  CHECK(price.base.cached_input_pusd == 28'000);
  CHECK(price.rates("", 1, 17 * 3'600'000).input_pusd == 140'000);
  CHECK(price.rates("", 1, 12 * 3'600'000).input_pusd == 280'000);
}

TEST_CASE("what cannot be told in our terms is skipped by name") {
  const PriceFile file = parse_price_map(kMap, "map.json", 0);
  CHECK(why_skipped(file, "thinker") == "reasoning has a rate of its own");
  CHECK(why_skipped(file, "by-request") == "it is billed by the request, too");
  CHECK(why_skipped(file, "free") == "its price is 0, which may mean unknown");
  CHECK(why_skipped(file, "huge").find("not believed") != std::string::npos);
  CHECK(price_of(file, "databricks", "noisy").base.input_pusd == 500'030);
  CHECK(price_of(file, "databricks", "finer").base.input_pusd == 500'000);
  CHECK(file.rounded == 1);
  CHECK(file.prices.size() == 7);
  CHECK_THROWS_AS(parse_price_map("[]", "x", 0), UsageError);
  CHECK_THROWS_AS(parse_price_map("{\"a\":1", "x", 0), UsageError);
}

TEST_CASE("our own list of prices") {
  const PriceFile file = parse_price_toml(R"([models."gpt-4.1"]
provider = "openai"
effective = "2026-12-01"
input = 2
output = 8
price_variants = [ { above_tokens = 1000, input = 4, output = 16 } ]
[models.relayed]
provider = "relay"
name = "deepseek/v3"
input = 0.28
output = 0.42
)",
                                          "p.toml", 77);
  REQUIRE(file.prices.size() == 2);
  CHECK(file.prices[0].effective_at_ms == 1'796'083'200'000);
  CHECK(file.prices[0].source == "p.toml:4");
  CHECK(file.prices[0].price.variants.size() == 1);
  CHECK(file.prices[1].model == "deepseek/v3");
  CHECK(file.prices[1].effective_at_ms == 77);
  CHECK(complaint("[models.a]\ninput = 1\noutput = 1\n") ==
        "p.toml:1: [models.a] needs \"provider\", \"input\" and \"output\"");
  CHECK(complaint("[models.a]\nprovider = \"p\"\ninput = 1\n").starts_with("p.toml:3: "));
  CHECK(complaint("[models.a]\nprovider = \"p\"\ninputs = 1\n").find("did you mean \"input\"") !=
        std::string::npos);
  CHECK(complaint("[models.a]\nprovider = \"p\"\ninput = 1\noutput = 1\neffective = \"soon\"\n")
            .starts_with("p.toml:5: "));
  CHECK(complaint("").find("no [models") != std::string::npos);
}

TEST_CASE("a price that is a thousand times off is doubted") {
  const std::vector<ListedPrice> known = known_prices(nullptr, "gpt-4.1-2025-04-14", 0);
  REQUIRE_FALSE(known.empty());
  const auto doubts = [&](std::int64_t input, std::int64_t output) {
    return !price_doubt(ModelPrice{input, input, input, output}, known).empty();
  };
  CHECK_FALSE(doubts(2'000'000, 8'000'000));
  CHECK_FALSE(doubts(8'000'000, 8'000'000));  // a relay's own
  CHECK_FALSE(doubts(0, 0));                  // given away
  CHECK(doubts(2'000, 8'000));                // per thousand tokens
  CHECK(doubts(2, 8));                        // per token
  CHECK(doubts(2'000'000, 8'000));
  CHECK(price_doubt(ModelPrice{1, 1, 1, 1}, known_prices(nullptr, "nobody's", 0)).empty());
}

TEST_CASE("vendors are known by their usual variables") {
  for (const std::string& name : known_key_variables()) unsetenv(name.c_str());
  unsetenv("OPENAI_BASE_URL");
  CHECK(known_config().models.empty());
  setenv("OPENAI_API_KEY", "k", 1);
  Config config = known_config();
  CHECK(config.providers.size() == 1);
  const Model& model = config.models.at("openai/gpt-4.1-mini");
  CHECK(model.name == "gpt-4.1-mini");
  CHECK(model.price->base.input_pusd == 400'000);
  CHECK(model.price_origin == "snapshot");
  CHECK(model.price_source.find("20") != std::string::npos);  // its day
  setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1", 1);
  CHECK(known_config().providers.at("openai").base_url == "http://127.0.0.1:9/v1");
  setenv("OPENAI_BASE_URL", "http://example.com/v1", 1);
  CHECK_THROWS_AS(known_config(), UsageError);
  unsetenv("OPENAI_BASE_URL");
  unsetenv("OPENAI_API_KEY");
}

TEST_CASE("the vendor's own host has the vendor's price, a relay has not") {
  Config config = parse_config(R"([providers.a]
base_url = "https://api.openai.com/v1"
[providers.b]
base_url = "https://relay.example/v1"
[models."gpt-4.1"]
provider = "a"
[models.relayed]
provider = "b"
name = "gpt-4.1"
)",
                               "docmill.toml");
  fill_known_prices(config);
  CHECK(config.models.at("gpt-4.1").price->base.output_pusd == 8'000'000);
  CHECK_FALSE(config.models.at("relayed").price);
}
