// The HTML report in a real browser: opened from disk, its charts drawn, nothing said on the
// console, and its figures those of the JSON report.

#include <algorithm>

#include "base/money.h"
#include "tests/process/mill_test.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;

constexpr const char* kConfig = R"toml(
[worker]
in_flight = 16
max_tries = 2
retry_base = "10ms"
retry_cap = "20ms"
breaker_failures = 1000
[defaults]
chain = ["shaky", "steady"]
[providers.sim]
base_url = "@URL@"
[models.shaky]
provider = "sim"
name = "m"
input = 3
output = 15
[models.steady]
provider = "sim"
name = "n"
input = 0.42
cached_input = 0.042
output = 0.84
[models.asked_about]
provider = "sim"
name = "o"
input = 7
output = 21
)toml";

// Between two marks, after the first.
std::string between(const std::string& text, const std::string& from, const std::string& until) {
  const std::size_t begin = text.find(from);
  if (begin == std::string::npos) return "";
  const std::size_t end = text.find(until, begin + from.size());
  return text.substr(begin + from.size(), end - begin - from.size());
}

std::string headline(const std::string& page, const std::string& key) {
  return between(page, "data-figure=\"" + key + "\" value=\"", "\"");
}

class BrowserTest : public MillTest {
 protected:
  struct Seen {
    std::string document;  // after its scripts have run
    std::string console;
  };

  // The page as a browser has it.
  Seen open(const std::string& file) {
    constexpr const char* kBrowser = "/usr/bin/chromium";
    INFO("a browser is missing: apt-get install chromium");
    REQUIRE(std::filesystem::exists(kBrowser));
    Command command;
    command.argv = {kBrowser,
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--enable-logging=stderr",
                    "--user-data-dir=" + (folder / "browser").string(),
                    "--dump-dom",
                    "file://" + (folder / file).string()};
    command.env = {{"PATH", "/usr/bin:/bin"}, {"HOME", folder.string()}};
    command.cwd = folder;
    command.out = folder / (file + ".dom");
    command.err = folder / (file + ".log");
    Process browser(command);
    const std::optional<Exit> exit = browser.wait(120'000);
    REQUIRE(exit);
    CHECK(exit->code == 0);
    Seen seen;
    seen.document = read(command.out);
    const std::string log = read(command.err);
    for (std::size_t at = 0; (at = log.find(":CONSOLE:", at)) != std::string::npos; ++at) {
      seen.console += log.substr(at, log.find('\n', at) - at) + "\n";
    }
    return seen;
  }

  void run_a_batch() {
    simulate("--latency 15ms --cached 0.3 --mix 500=0.2,reset=0.02,content_filter=0.02");
    configure(kConfig);
    write_texts("docs.jsonl", 200);
    write("hostile.jsonl",
          json{{"id", "</script><script>alert(1)</script>"}, {"text", "one"}}.dump() + "\n" +
              json{{"id", "\u2028<!--<b>'\"&{{json}}"}, {"text", "two"}}.dump() + "\n");
    REQUIRE(docmill("submit summarise docs.jsonl --batch q3 --max-cost 9").code == 0);
    REQUIRE(docmill("submit translate --to de hostile.jsonl --batch hostile").code == 0);
    docmill("work --drain");
  }
};

}  // namespace

TEST_CASE_METHOD(BrowserTest, "a browser draws every chart of the HTML report", "[process]") {
  run_a_batch();
  REQUIRE(docmill("report q3 --format html --if-model asked_about -o page.html").code == 0);
  const std::string written = read(folder / "page.html");
  // One file: nothing in it is fetched from anywhere.
  CHECK(written.find("src=") == std::string::npos);
  CHECK(written.find("<link") == std::string::npos);

  const Seen seen = open("page.html");
  CHECK(seen.console.empty());
  const json page = json::parse(
      between(written, "<script type=\"application/json\" id=\"docmill-report\">", "</script>"));
  const std::size_t charts = page.at("charts").size();
  CHECK(charts >= 6);
  CHECK(between(seen.document, "data-charts=\"", "\"") == std::to_string(charts));

  const json report = docmill("report q3 --format json").json().at("totals");
  const json& totals = page.at("totals");
  for (const char* name :
       {"requests", "retries", "fallbacks", "input_tokens", "cached_tokens", "output_tokens",
        "cost_usd", "possible_usd", "unpriced_requests", "p50_ms", "p95_ms", "p99_ms"}) {
    CAPTURE(name);
    CHECK(totals.at(name) == report.at(name));
  }
  CHECK(headline(seen.document, "cost_usd") == report.at("cost_usd").get<std::string>());
  CHECK(headline(seen.document, "average_usd") == report.at("avg_cost_usd").get<std::string>());

  const json by_model = docmill("report q3 --by model --format json").json().at("rows");
  const json& models = page.at("models");
  REQUIRE(models.size() == by_model.size());
  for (const json& row : by_model) {
    const auto same = std::find_if(models.begin(), models.end(), [&row](const json& model) {
      return model.at("name") == row.at("model");
    });
    REQUIRE(same != models.end());
    CHECK(same->at("figures").at("cost_usd") == row.at("cost_usd"));
    CHECK(same->at("figures").at("requests") == row.at("requests"));
  }
}

TEST_CASE_METHOD(BrowserTest, "a page cannot be made to run what a document's name says",
                 "[process]") {
  run_a_batch();
  REQUIRE(docmill("report hostile --format html -o page.html").code == 0);
  const Seen seen = open("page.html");
  CHECK(seen.console.empty());
  CHECK(seen.document.find("<script>alert") == std::string::npos);
  CHECK(seen.document.find("&lt;script&gt;alert") != std::string::npos);
  CHECK(between(seen.document, "data-charts=\"", "\"").size() >= 1);

  // The same test on a page that was tampered with has to notice it.
  std::string broken = read(folder / "page.html");
  const std::size_t script = broken.find("'use strict';");
  REQUIRE(script != std::string::npos);
  broken.insert(script, "alert(1);");
  write("broken.html", broken);
  const Seen refused = open("broken.html");
  CHECK(refused.console.find("Content Security Policy") != std::string::npos);
  CHECK(refused.document.find("data-charts=") == std::string::npos);
}

TEST_CASE_METHOD(BrowserTest, "a browser runs the page on which answers are voted on",
                 "[process]") {
  simulate("");
  configure(kConfig);
  write("docs.jsonl",
        json{{"id", "</script><script>alert(1)</script>"}, {"text", "</div><b>one"}}.dump() + "\n" +
            json{{"id", "{{key}}"}, {"text", "<!-- two \u202e"}}.dump() + "\n");
  REQUIRE(docmill("trial summarise docs.jsonl --models steady,asked_about --format html -o v.html")
              .code == 0);
  const std::string written = read(folder / "v.html");
  CHECK(written.find("src=") == std::string::npos);
  const auto key =
      json::parse(between(written, "<script type=\"application/json\" id=\"key\">", "</script>"));
  REQUIRE(key.size() == 2);
  const Seen seen = open("v.html");
  CHECK(seen.console.empty());
  CHECK(between(seen.document, "id=\"votes\">", "<") == "0 of 2 documents have a vote.");
  std::size_t choices = 0;
  for (std::size_t at = 0; (at = seen.document.find("type=\"radio\"", at)) != std::string::npos;
       ++at) {
    ++choices;
  }
  CHECK(choices == 6);
  // No answer says whose it is before it is asked for.
  CHECK(between(seen.document, "data-place=\"0\">", "<").empty());
}

}  // namespace docmill::process_test
