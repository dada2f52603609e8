// The config as its users meet it: what a good file gives, and what each bad one is told.

#include <fmt/format.h>

#include <string>

#include "base/errors.h"
#include "config/config.h"
#include "tests/catch.h"
#include "tests/config_text.h"

using namespace docmill;
using namespace docmill::config_text;

namespace {

void check_all(const std::string& before, const std::vector<Bad>& table) {
  for (const Bad& bad : table) {
    CAPTURE(bad.text);
    CHECK(complaint(before + bad.text) == "./docmill.toml:" + bad.complaint);
  }
}

std::string model_with(const std::string& lines) {
  return "[providers.acme]\nbase_url = \"https://api.acme.com/v1\"\n[models.small]\n"
         "provider = \"acme\"\n" +
         lines + "\n";
}

}  // namespace

TEST_CASE("an empty config is all defaults") {
  const Config config = parse("");
  CHECK(config.worker.in_flight == 64);
  CHECK(config.worker.policy.max_tries == 5);
  CHECK(config.store.empty());
  CHECK_FALSE(config.batch_cap_pusd);
}

TEST_CASE("the numbers of the worker, the store and the caps") {
  const Config config = parse_config(R"(
[store]
path = "state/docmill.db"
[worker]
in_flight = 8
max_tries = 3
retry_base = "250ms"
retry_cap = "10s"
max_requests = 20
stop_timeout = "2m"
max_reply = "1MiB"
[caps]
batch = 25.00
confirm = "0.000001"
)",
                                     "/etc/docmill/docmill.toml");
  CHECK(config.store == "/etc/docmill/state/docmill.db");
  CHECK(config.worker.in_flight == 8);
  CHECK(config.worker.policy.max_tries == 3);
  CHECK(config.worker.policy.retry_base_ms == 250);
  CHECK(config.worker.policy.retry_cap_ms == 10'000);
  CHECK(config.worker.policy.max_requests == 20);
  CHECK(config.worker.stop_timeout_ms == 120'000);
  CHECK(config.worker.max_reply_bytes == 1 << 20);
  CHECK(config.batch_cap_pusd == 25'000'000'000'000);
  CHECK(config.confirm_pusd == 1'000'000);
}

TEST_CASE("everything a provider may say") {
  const Config config = parse(R"([providers.p]
dialect = "anthropic"
base_url = "https://api.acme.com/v1/"
key_file = "keys/acme"
auth = "api-key"
headers = { X-Team = "papers" }
query = { api-version = "2025-01-01" }
requests_per_minute = 10000
burst = 1.5
in_flight = 12
connect_timeout = "5s"
first_byte_timeout = "2m"
progress_timeout = "30s"
deadline = "5m"
region = "eu"
proxy = "socks5h://localhost:1080"
ca_file = "/etc/ca.pem"
bills_errors = true
)");
  const Provider& provider = config.providers.at("p");
  CHECK(provider.dialect == Dialect::anthropic);
  CHECK(provider.base_url == "https://api.acme.com/v1");
  CHECK(provider.key_file == "./keys/acme");
  CHECK(provider.auth == Auth::api_key);
  CHECK(provider.headers.at("X-Team") == "papers");
  CHECK(provider.query.at("api-version") == "2025-01-01");
  CHECK(provider.per_minute.requests == 10000.0);
  CHECK(provider.burst_seconds == 1.5);
  CHECK(provider.in_flight == 12);
  CHECK(provider.connect_timeout_ms == 5000);
  CHECK(provider.first_byte_timeout_ms == 120'000);
  CHECK(provider.progress_timeout_ms == 30'000);
  CHECK(provider.deadline_ms == 300'000);
  CHECK(provider.region == "eu");
  CHECK(provider.proxy == "socks5h://localhost:1080");
  CHECK(provider.ca_file == "/etc/ca.pem");
  CHECK(provider.bills_errors);
}

TEST_CASE("default timers shrink to a short deadline") {
  const Provider provider = parse(provider_with("deadline = \"3s\"")).providers.at("acme");
  CHECK(provider.connect_timeout_ms == 3000);
  CHECK(provider.progress_timeout_ms == 3000);
  CHECK_FALSE(provider.first_byte_timeout_ms);
}

TEST_CASE("everything a model may say") {
  const Config config = parse(model_with(R"(name = "small-2025"
input = 3
cached_input = 0.30
cache_write_input = "3.75"
output = 15.0
context_tokens = 200000
max_output_tokens = 64000
temperature = 0.7
json = "schema"
max_tokens_field = "max_completion_tokens"
requests_per_minute = 50.5
in_flight = 3
stream = false
extra_body = { reasoning = { effort = "low" }, stop = ["a", 2, 0.5, true] })"));
  const Model& model = config.models.at("small");
  CHECK(model.name == "small-2025");
  REQUIRE(model.price);
  CHECK(model.price->base.input_pusd == 3'000'000);
  CHECK(model.price->base.cached_input_pusd == 300'000);
  CHECK(model.price->base.cache_write_input_pusd == 3'750'000);
  CHECK(model.price->base.output_pusd == 15'000'000);
  CHECK(model.context_tokens == 200'000);
  CHECK(model.max_output_tokens == 64'000);
  CHECK(model.temperature == 0.7);
  CHECK(model.json == JsonMode::schema);
  CHECK(model.max_tokens_field == "max_completion_tokens");
  CHECK(model.per_minute.requests == 50.5);
  CHECK(model.in_flight == 3);
  CHECK(model.extra_body == R"({"reasoning":{"effort":"low"},"stop":["a",2,0.5,true]})");
  CHECK(model.price_source == "docmill.toml:6");
}

TEST_CASE("prices are exact however they are written") {
  const auto input_pusd = [](const std::string& written) {
    return parse(model_with("output = 1\ninput = " + written))
        .models.at("small")
        .price->base.input_pusd;
  };
  CHECK(input_pusd("0.42") == 420'000);
  CHECK(input_pusd("0.0028") == 2'800);
  CHECK(input_pusd("0.000001") == 1);  // a double prints this one as 1e-06
  CHECK(input_pusd("1e-6") == 1);
  CHECK(input_pusd("0.1") == 100'000);
  CHECK(input_pusd("999.999999") == 999'999'999);
  CHECK(input_pusd("1000") == 1'000'000'000);
  CHECK(input_pusd("\"$0.42\"") == 420'000);
  CHECK(input_pusd("0") == 0);
  for (int micro = 1; micro < 1'000'000; micro += 997) {
    REQUIRE(input_pusd(fmt::format("0.{:06}", micro)) == micro);
  }
}

TEST_CASE("a model without a price is unpriced, and one with a price caches at the input's") {
  const Config config = parse(kBase);
  CHECK_FALSE(config.models.at("large-4.1").price);
  CHECK(config.models.at("large-4.1").name == "large-4.1");
  CHECK(config.models.at("small").price->base.cached_input_pusd == 420'000);
  CHECK(config.models.at("small").price->base.cache_write_input_pusd == 420'000);
}

TEST_CASE("a small context leaves room beside the default answer") {
  const Config config = parse(model_with("context_tokens = 4096"));
  CHECK(config.models.at("small").max_output_tokens == 2048);
}

TEST_CASE("chains, routes and tasks") {
  const Config config = parse(kBase + R"([defaults]
chain = ["small"]
[routes.long]
chain = ["large-4.1", "small"]
[tasks.summarize]
chain = ["small", { model = "large-4.1" }]
max_output_tokens = 1024
[tasks.translate]
max_output_tokens = 99
)");
  CHECK(config.default_chain == Chain{"small"});
  CHECK(config.routes.at("long") == Chain{"large-4.1", "small"});
  CHECK(config.tasks.at("summarise").chain == Chain{"small", "large-4.1"});
  CHECK(config.tasks.at("summarise").max_output_tokens == 1024);
  CHECK_FALSE(config.tasks.at("translate").chain);
}

TEST_CASE("a config may say all of this") {
  const Config config = parse(R"([worker]
breaker_failures = 5
breaker_cooldown = "31s"
on_finish = ["notify", "me"]
[providers.acme]
base_url = "https://api.acme.com/v1"
tokens_per_minute = 4000000
[models.a]
provider = "acme"
stream = true
tokens_per_minute = 1000
[models.b]
provider = "acme"
stream = true
service_tier = "flex"
unbounded_reasoning = false
pin = "b-0925"
[routes.r]
chain = [{ model = "a", max_latency = "30s", max_wait = "5m" }, "b"]
[tasks.summarise]
rules = [{ matches = ["x"], over_tokens = 10, route = "r" }, { over_chars = 5, route = "r" }]
order = "cheapest"
[caps]
daily = 50.0
tenant.acme.monthly = 500.00
tenant.acme.daily = 5
[metrics]
port = 9464
[report]
currency = { code = "EUR", per_usd = 0.92 }
)");
  CHECK(config.on_finish == std::vector<std::string>{"notify", "me"});
  CHECK(config.worker.breaker_cooldown_ms == 31'000);
  CHECK(config.metrics_port == 9464);
}

TEST_CASE("a model's tokenizer is one that is known, or a file") {
  const std::string model = kBase + "[models.a]\nprovider = \"acme\"\ntokenizer = ";
  CHECK(parse(model + "\"o200k_base\"").models.at("a").tokenizer == "o200k_base");
  CHECK(parse(model + "\"/dev/null\"").models.at("a").tokenizer == "/dev/null");
  CHECK_THROWS_WITH(parse(model + "\"o20k_base\""), Catch::Contains("did you mean \"o200k_base\""));
  CHECK_THROWS_WITH(parse(model + "\"./no.json\""), Catch::Contains("there is no file"));
}

// Once taken for [[routes.r.chain]], and refused.
TEST_CASE("a chain may be made of tables alone") {
  const Config config = parse(kBase + R"(
[models.a]
provider = "acme"
[models.b]
provider = "acme"
[routes.r]
chain = [{ model = "a", max_latency = "1s" }, { model = "b", max_wait = "1m" }]
)");
  REQUIRE(config.routes.at("r").size() == 2);
  CHECK(config.routes.at("r")[1].max_wait_ms == 60'000);
}

TEST_CASE("unknown keys name the nearest known one") {
  check_all(
      "",
      {
          {provider_with("request_per_minute = 5"),
           "3: unknown key \"request_per_minute\"; did you mean \"requests_per_minute\"?"},
          {"[provider.a]\n", "1: unknown key \"provider\"; did you mean \"providers\"?"},
          {"\n[worker]\ninflight = 3\n",
           "3: unknown key \"inflight\"; did you mean \"in_flight\"?"},
          {"[store]\nsize = 3\n", "2: unknown key \"size\"; [store] takes path"},
          {"colour = 1\n",
           "1: unknown key \"colour\"; the file takes caps, defaults, metrics, models, providers, "
           "report, routes, store, tasks, worker"},
          {"[caps]\ntenant.acme.weekly = 5\n",
           "2: unknown key \"weekly\"; [caps.tenant.acme] takes "
           "daily, monthly"},
          {model_with("inputt = 1\noutput = 1"),
           "5: unknown key \"inputt\"; did you mean \"input\"?"},
      });
}

TEST_CASE("a dot outside quotes never loads") {
  check_all(
      kBase,
      {
          {"[models.gpt-4.1]\nprovider = \"acme\"\n",
           "9: [models.gpt-4.1] means \"1\" inside \"gpt-4\". Write [models.\"gpt-4.1\"]."},
          {"[models.gemini-2.5-flash]\nprovider = \"acme\"\n",
           "9: [models.gemini-2.5-flash] means \"5-flash\" inside \"gemini-2\". Write "
           "[models.\"gemini-2.5-flash\"]."},
          {"[models.a-1.2.3]\nprovider = \"acme\"\n",
           "9: [models.a-1.2.3] means \"3\" inside \"2\" inside \"a-1\". Write "
           "[models.\"a-1.2.3\"]."},
          // A model that is good by itself, and one that hides in it.
          {"[models.gpt-4]\nprovider = \"acme\"\n[models.gpt-4.1]\nprovider = \"acme\"\n",
           "11: [models.gpt-4.1] means \"1\" inside \"gpt-4\". Write [models.\"gpt-4.1\"]."},
          {"[models.gpt-4.1.extra_body]\nx = 1\n",
           "9: [models.gpt-4.1] means \"1\" inside \"gpt-4\". Write [models.\"gpt-4.1\"]."},
          {"[[models.gpt-4.1]]\nprovider = \"acme\"\n",
           "9: [models.gpt-4.1] means \"1\" inside \"gpt-4\". Write [models.\"gpt-4.1\"]."},
          {"[providers.a.b]\nbase_url = \"https://evil.example\"\n",
           "9: [providers.a.b] means \"b\" inside \"a\". Write [providers.\"a.b\"]."},
          {"[providers.acme.eu]\nbase_url = \"https://evil.example\"\n",
           "9: [providers.acme.eu] means \"eu\" inside \"acme\". Write [providers.\"acme.eu\"]."},
          {"[routes.v1.2]\nchain = [\"small\"]\n",
           "9: [routes.v1.2] means \"2\" inside \"v1\". Write [routes.\"v1.2\"]."},
          {"[tasks.my.task]\nchain = [\"small\"]\n",
           "9: [tasks.my.task] means \"task\" inside \"my\". Write [tasks.\"my.task\"]."},
          {"[caps]\ntenant.acme.eu.daily = 3\n",
           "10: [caps.tenant.acme.eu] means \"eu\" inside \"acme\". Write "
           "[caps.tenant.\"acme.eu\"]."},
      });
  CHECK(complaint("[providers.acme]\nbase_url = \"https://a.com\"\n[models]\n"
                  "gpt-4.1 = { provider = \"acme\" }\n") ==
        "./docmill.toml:4: [models.gpt-4.1] means \"1\" inside \"gpt-4\". Write "
        "[models.\"gpt-4.1\"].");
  // What belongs below a name stays welcome.
  CHECK(complaint(kBase + "[models.small.extra_body]\nx = 1\n[providers.acme.headers]\n"
                          "X-A = \"b\"\n[providers.acme.query]\nv = \"1\"\n") == "(none)");
}

TEST_CASE("a model under a dotted provider cannot change where another model is sent") {
  CHECK_THAT(complaint(kBase + "[models.small.provider]\nbase_url = \"https://evil.example\"\n"),
             Catch::Contains("./docmill.toml:9:"));
  CHECK_THAT(complaint(kBase + "models.small.provider = \"evil\"\n"),
             Catch::Contains("./docmill.toml:9:"));
  CHECK_THAT(complaint(kBase + "[providers.acme.base_url]\nx = \"https://evil.example\"\n"),
             Catch::Contains("./docmill.toml:9:"));
}

TEST_CASE("what is not TOML is told by its line") {
  check_all("",
            {
                {"a = 1\na = 2\n",
                 "2: Error while parsing key-value pair: cannot redefine existing integer 'a'"},
                {"[worker]\nin_flight = \n",
                 "2: Error while parsing key-value pair: expected value, saw '\\n'"},
                {"[worker]\nin_flight = \"3\n",
                 "2: Error while parsing string: unescaped control characters other than TAB "
                 "(U+0009) are "
                 "explicitly prohibited"},
                {"x = 1\ny = " + std::string(300, '.') + "\n", "2: more than 200 dots in one line"},
            });
}

TEST_CASE("types and ranges are told with key and range") {
  check_all(
      "",
      {
          {"worker = 3\n", "1: \"worker\" must be a table: [worker]"},
          {"[worker]\nin_flight = 0\n",
           "2: \"in_flight\" must be a whole number from 1 to 10000, not 0"},
          {"[worker]\nin_flight = 1.5\n",
           "2: \"in_flight\" must be a whole number from 1 to 10000, not 1.5"},
          {"[worker]\nin_flight = \"9\"\n",
           "2: \"in_flight\" must be a whole number from 1 to 10000, not \"9\""},
          {"[worker]\nmax_tries = 101\n",
           "2: \"max_tries\" must be a whole number from 1 to 100, not 101"},
          {"[worker]\nmax_requests = 10001\n",
           "2: \"max_requests\" must be a whole number from 1 to 10000, not 10001"},
          {"[worker]\nstop_timeout = 110\n",
           "2: \"stop_timeout\" must be a duration from \"1s\" to \"1d\" with its unit (ms, s, m, "
           "h, d), "
           "not 110"},
          {"[worker]\nretry_base = \"2m\"\n",
           "2: \"retry_base\" is 120000 ms, more than \"retry_cap\", which is 60000 ms"},
          {"[worker]\nmax_reply = \"16MB\"\n",
           "2: \"max_reply\" must be 65536 to 1073741824 bytes, such as 16777216 or \"16MiB\", not "
           "\"16MB\""},
          {provider_with("requests_per_minute = 0"),
           "3: \"requests_per_minute\" must be a number from 0.001 to 1000000000, not 0"},
          {provider_with("burst = nan"),
           "3: \"burst\" must be a number from 0.001 to 3600, not nan"},
          {provider_with("deadline = \"0s\""),
           "3: \"deadline\" must be a duration from \"1ms\" to \"7d\" with its unit (ms, s, m, h, "
           "d), "
           "not \"0s\""},
          {provider_with("connect_timeout = \"20s\"\ndeadline = \"10s\""),
           "3: \"connect_timeout\" must not be longer than \"deadline\", which is 10 s"},
          {provider_with("dialect = \"google\""),
           "3: \"dialect\" must be \"openai\" or \"anthropic\", not \"google\""},
          {provider_with("bills_errors = 1"), "3: \"bills_errors\" must be true or false, not 1"},
          {provider_with("region = \"\""), "3: \"region\" is empty"},
          {model_with("temperature = 2.1"),
           "5: \"temperature\" must be a number from 0 to 2, not 2.1"},
          {model_with("context_tokens = 100000001"),
           "5: \"context_tokens\" must be a whole number from 1 to 100000000, not 100000001"},
          {model_with("context_tokens = 10\nmax_output_tokens = 11"),
           "6: \"max_output_tokens\" is 11, more than \"context_tokens\", which is 10"},
          {model_with("json = \"strict\""),
           "5: \"json\" must be \"schema\" or \"object\" or \"none\", not \"strict\""},
          {model_with("stream = \"no\""), "5: \"stream\" must be true or false, not \"no\""},
          {model_with("extra_body = { n = 2 }"),
           "5: \"extra_body\" may not set \"n\"; docmill sets it"},
          {model_with("extra_body = { t = 2025-01-01 }"),
           "5: \"extra_body\" has a date, a time or a number that JSON cannot say"},
          {"[models]\nsmall = 3\n",
           "2: [models] must be a table, such as [models.NAME]; \"small\" is a whole number"},
          {"[models.\"a,b\"]\n",
           "1: [models.\"a,b\"]: a name has at least one character, no comma, no "
           "control characters and no blanks around it"},
          {"[report]\ncurrency = { code = \"euro\", per_usd = 1 }\n",
           "2: \"currency\" must be like { code = \"EUR\", per_usd = 0.92 }"},
      });
}

TEST_CASE("money is refused rather than rounded") {
  const std::string wanted =
      "USD per million tokens from 0 to 1000 with at most 6 decimals, such as 0.42";
  check_all(
      "",
      {
          {model_with("output = 1\ninput = 0.0000001"),
           "6: \"input\" must be " + wanted + ", not 1e-07"},
          {model_with("output = 1\ninput = -1"), "6: \"input\" must be " + wanted + ", not -1"},
          {model_with("output = 1\ninput = 1000.000001"),
           "6: \"input\" must be " + wanted + ", not 1000.000001"},
          {model_with("output = 1\ninput = inf"), "6: \"input\" must be " + wanted + ", not inf"},
          {model_with("output = 1\ninput = \"1,5\""),
           "6: \"input\" must be " + wanted + ", not \"1,5\""},
          {model_with("output = 1\ninput = true"), "6: \"input\" must be " + wanted + ", not true"},
          {model_with("input = 1"),
           "5: [models.small] has \"input\" but no \"output\"; a price needs "
           "\"input\" and \"output\" (neither: the model is unpriced)"},
          {model_with("cached_input = 1"),
           "5: [models.small] has \"cached_input\" but no \"input\"; a "
           "price needs \"input\" and \"output\" (neither: the model is "
           "unpriced)"},
          {"[caps]\nbatch = 9000001\n",
           "2: \"batch\" must be USD from 0 to 9000000 with at most 6 decimals, such as 25.00, not "
           "9000001"},
          {"[caps]\ndaily = -1.0\n",
           "2: \"daily\" must be USD from 0 to 9000000 with at most 6 decimals, such as 25.00, not "
           "-1"},
      });
}

TEST_CASE("references lead somewhere") {
  check_all(kBase, {
                       {"[models.b]\nprovider = \"acne\"\n",
                        "10: unknown provider \"acne\"; did you mean \"acme\"?"},
                       {"[models.b]\nname = \"x\"\n",
                        "9: [models.b] needs provider = \"NAME\", one of [providers]"},
                       {"[defaults]\nchain = [\"large-4.2\"]\n",
                        "10: unknown model \"large-4.2\"; did you mean \"large-4.1\"?"},
                       {"[defaults]\nchain = [\n  \"small\",\n  \"gpt-4.1-nano\",\n]\n",
                        "12: unknown model \"gpt-4.1-nano\"; there is large-4.1, small"},
                       {"[defaults]\nchain = [\"small\", { model = \"small\" }]\n",
                        "10: \"small\" is in this chain twice"},
                       {"[defaults]\nchain = []\n",
                        "10: \"chain\" must be an array of 1 to 20 models, such as "
                        "[\"deepseek-v3.2\", \"gpt-4.1\"]"},
                       {"[defaults]\nchain = \"small\"\n",
                        "10: \"chain\" must be an array of 1 to 20 models, such as "
                        "[\"deepseek-v3.2\", \"gpt-4.1\"]"},
                       {"[defaults]\nchain = [{ max_latency = \"1s\" }]\n",
                        "10: an entry of \"chain\" needs model = \"NAME\""},
                       {"[defaults]\nchain = [{ model = \"small\", max_latncy = \"1s\" }]\n",
                        "10: unknown key \"max_latncy\"; did you mean \"max_latency\"?"},
                       {"[routes.long]\n", "9: [routes.long] needs chain = [...]"},
                       {"[routes.long]\nchain = [\"small\"]\n[tasks.summarise]\nrules = [\n  { "
                        "over_tokens = 9, route "
                        "= \"lang\" } ]\n",
                        "13: unknown route \"lang\"; did you mean \"long\"?"},
                       {"[routes.r]\nchain = [\"small\"]\n[tasks.summarise]\nrules = [\n  { "
                        "language = \"German\", route = \"r\" } ]\n",
                        "13: \"German\" is no language's code, such as \"de\" or \"zh\""},
                       {"[tasks.sumarise]\nmax_output_tokens = 9\n",
                        "9: unknown task \"sumarise\"; did you mean \"summarise\"? A task of your "
                        "own needs prompt = "
                        "\"...\""},
                   });
  CHECK_THAT(complaint(kBase + "[tasks.summarise]\n[tasks.summarize]\n"),
             Catch::Contains("are one task; keep one"));
}
