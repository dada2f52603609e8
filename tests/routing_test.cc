#include "tasks/routing.h"

#include "config/config.h"
#include "tasks/task.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

struct RoutingTest {
  RoutingTest() {
    for (const auto& [name, region] : {std::pair{"p", "eu"}, {"q", "us"}, {"r", ""}}) {
      providers[name].name = name;
      providers[name].region = region;
    }
    add("steady", "p", ModelPrice{10, 10, 10, 10});
    add("talker", "q", ModelPrice{1, 1, 1, 40});  // cheap to read to, dear to answer
    add("free", "r", std::nullopt);
    spec = make_spec("summarise", {});
    spec.max_output_tokens = 100;
    spec.routes = {{"default", {"steady", "talker"}}, {"long", {"talker"}}};
  }
  void add(const std::string& key, const std::string& provider, std::optional<ModelPrice> price) {
    models[key].key = models[key].name = key;
    models[key].provider = provider;
    models[key].price = price;
  }
  int choose(const std::string& text, bool rules_apply = true) {
    return choose_route(spec, 0, rules_apply, policy, models, text);
  }
  Providers providers;
  Models models;
  BatchSpec spec;
  RoutePolicy policy;
};

}  // namespace

TEST_CASE_METHOD(RoutingTest, "the first rule that fits picks the route; all it says must hold") {
  policy.rules = {
      {{"compare", "evaluate"}, {}, {}, "long"}, {{}, 100, {}, "long"}, {{}, {}, 1000, "absent"}};
  CHECK(choose("a short text") == 0);
  CHECK(choose("please COMPARE these") == 1);
  CHECK(choose(std::string(400, 'x')) == 1);  // 120 tokens by its letters
  CHECK(choose("please compare these", false) == 0);
  policy.rules = {{{"compare"}, 100, {}, "long"}};
  CHECK(choose("compare") == 0);
  CHECK(choose("compare " + std::string(400, 'x')) == 1);
  policy.rules = {{{}, {}, 3, "long"}};
  CHECK(choose("äöü") == 0);  // three characters, six bytes
  CHECK(choose("äöüß") == 1);
  policy.rules = {{{}, {}, {}, "long", {"de", "nl"}}};
  CHECK(choose("The contract begins on the first of January and ends at the end of a year.") == 0);
  CHECK(choose("Der Vertrag beginnt am ersten Januar und endet am Ende eines Jahres.") == 1);
  policy.rules = {{{}, {}, 3, "absent"}};
  CHECK(choose("four") == 0);  // --regions has left nothing of that route
}

TEST_CASE_METHOD(RoutingTest, "cheapest first is decided for each text, and its order is a route") {
  policy.cheapest_first = true;
  spec.routes[0].chain = {"free", "talker", "steady"};
  // 100 tokens out: 1,000 against 4,000; reading 10 against 1 a token. They meet at 333 tokens.
  const int small = choose("short");
  REQUIRE(small == 2);
  CHECK(spec.routes[2].name == "default");
  CHECK(spec.routes[2].chain == Chain{"steady", "talker", "free"});
  const int large = choose(std::string(4000, 'x'));
  REQUIRE(large == 3);
  CHECK(spec.routes[3].chain == Chain{"talker", "steady", "free"});
  CHECK(choose("also short") == 2);  // known by now
  CHECK(spec.routes.size() == 4);
  CHECK(parse_batch_spec(to_json_text(spec)) == spec);
}

TEST_CASE_METHOD(RoutingTest, "a chain keeps within its regions") {
  const Chain chain{"steady", "talker", "free"};
  CHECK(within_regions(chain, {}, providers, models) == chain);
  CHECK(within_regions(chain, {"eu"}, providers, models) == Chain{"steady"});
  CHECK(within_regions(chain, {"eu", "us"}, providers, models) == Chain{"steady", "talker"});
  CHECK(within_regions(chain, {"apac"}, providers, models).empty());
}

TEST_CASE("a chain's links keep their limits in the batch's row") {
  BatchSpec spec = make_spec("summarise", {});
  Link quick("a");
  quick.max_latency_ms = 30'000;
  quick.max_wait_ms = 300'000;
  spec.routes = {{"default", {quick, "b"}}};
  const BatchSpec read = parse_batch_spec(to_json_text(spec));
  CHECK(read == spec);
  BatchSpec slower = spec;
  slower.routes[0].chain[0].max_latency_ms = 60'000;
  CHECK(difference(spec, slower).find("max_latency 60000 ms") != std::string::npos);
}

TEST_CASE("dispatch's keys of the config arrive where they are used") {
  const Config config = parse_config(R"(
[providers.p]
base_url = "https://example.com/v1"
tokens_per_minute = 1000
input_tokens_per_minute = 2000
output_tokens_per_minute = 3000
[models.m]
provider = "p"
input = 2
output = 4
flex_input = 1
flex_output = 2
service_tier = "flex"
stream = true
unbounded_reasoning = true
pin = "m-0925"
tokens_per_minute = 500
[models.n]
provider = "p"
[routes.r]
chain = ["n"]
[tasks.summarise]
chain = [{ model = "m", max_latency = "30s", max_wait = "5m" }, "n"]
order = "cheapest"
rules = [
  { matches = "Word", over_tokens = 7, over_chars = 8, language = ["de", "zh"], route = "r" }]
[worker]
disk_reserve = "1GiB"
[caps]
daily = 50
tenant.acme.monthly = 500
)",
                                     "docmill.toml");
  const Rates& rates = config.providers.at("p").per_minute;
  CHECK(rates.tokens == 1000.0);
  CHECK(rates.input_tokens == 2000.0);
  CHECK(rates.output_tokens == 3000.0);
  CHECK_FALSE(rates.requests);
  const Model& model = config.models.at("m");
  CHECK(model.per_minute.tokens == 500.0);
  REQUIRE(model.price);
  CHECK(model.price->variants ==
        std::vector<PriceVariant>{
            {"flex", 0, "", {1'000'000, 1'000'000, 1'000'000, 2'000'000, 1'000'000}}});
  CHECK(model.service_tier == "flex");
  CHECK(model.stream);
  CHECK(model.unbounded_reasoning);
  CHECK(model.pin == "m-0925");
  const TaskSettings& task = config.tasks.at("summarise");
  REQUIRE(task.chain);
  CHECK(task.chain->at(0).max_latency_ms == 30'000);
  CHECK(task.chain->at(0).max_wait_ms == 300'000);
  CHECK(task.chain->at(1) == Link("n"));
  CHECK(task.routing.cheapest_first);
  REQUIRE(task.routing.rules.size() == 1);
  CHECK(task.routing.rules[0].matches == std::vector<std::string>{"word"});
  CHECK(task.routing.rules[0].languages == std::vector<std::string>{"de", "zh"});
  CHECK(task.routing.rules[0].over_tokens == 7);
  CHECK(task.routing.rules[0].over_chars == 8);
  CHECK(config.worker.disk_reserve_bytes == 1 << 30);
  CHECK(config.worker.caps.daily_pusd == 50'000'000'000'000);
  CHECK(config.worker.caps.tenants.at("acme").monthly_pusd == 500'000'000'000'000);
}

TEST_CASE("half a flex price is refused") {
  CHECK_THROWS(
      parse_config("[providers.p]\nbase_url = \"https://x.example/v1\"\n[models.m]\n"
                   "provider = \"p\"\ninput = 1\noutput = 1\nflex_input = 1\n",
                   "docmill.toml"));
}
