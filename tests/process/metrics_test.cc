// What monitoring sees of a worker, over a real socket.

#include <curl/curl.h>

#include <csignal>

#include "tests/process/mill_test.h"

namespace docmill::process_test {
namespace {

struct Page {
  long status = 0;
  std::string text;
};

std::size_t keep(char* bytes, std::size_t, std::size_t size, void* text) {
  static_cast<std::string*>(text)->append(bytes, size);
  return size;
}

Page get(const std::string& url) {
  Page page;
  CURL* easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 5000L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &keep);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &page.text);
  curl_easy_perform(easy);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &page.status);
  curl_easy_cleanup(easy);
  return page;
}

constexpr const char* kConfig = R"toml(
[worker]
retry_base = "1ms"
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
name = "m+500=0.2"
input = 3
output = 15
[caps]
daily = 50
)toml";

}  // namespace

TEST_CASE_METHOD(MillTest, "metrics agree with the ledger, and health with the worker",
                 "[process]") {
  simulate("");
  const std::string port = std::to_string(free_port());
  const std::string base = "http://127.0.0.1:" + port;
  configure(std::string(kConfig) + "[metrics]\nport = " + port + "\n");
  write_texts("docs.jsonl", 40);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(20'000, [&] { return status("b").at("state") == "finished"; }));
  // Nothing turns any more, so the next page comes with the worker's idle look.
  const std::string answered = "docmill_requests_total{model=\"m\",outcome=\"answered\"} 40\n";
  REQUIRE(becomes_true(
      15'000, [&] { return get(base + "/metrics").text.find(answered) != std::string::npos; }));
  const std::string text = get(base + "/metrics").text;
  const auto value = [&](const std::string& name) {
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
  };
  const auto totals = docmill("report b --format json").json().at("totals");
  CHECK(value("docmill_cost_usd_total{model=\"m\"}") ==
        Approx(std::stod(totals.at("cost_usd").get<std::string>())));
  CHECK(value("docmill_tokens_total{model=\"m\",kind=\"output\"}") ==
        totals.at("output_tokens").get<double>());
  CHECK(value("docmill_request_seconds_count{model=\"m\"}") == totals.at("requests").get<double>());
  CHECK(value("docmill_requests_total{model=\"m\",outcome=\"server_error\"}") ==
        totals.at("requests").get<double>() - 40);
  CHECK(value("docmill_cap_usd{tenant=\"\",period=\"day\"}") == 50);
  CHECK(value("docmill_in_flight") == 0);
  CHECK(value("docmill_turn_seconds_count") > 0);
  CHECK(value("docmill_store_bytes") > 0);
  CHECK(get(base + "/healthz").status == 200);
  CHECK(get(base + "/readyz").status == 200);
  CHECK(get(base + "/other").status == 404);

  // A second worker of another store does its work although the port is taken.
  const Ran other = docmill("run summarise docs.jsonl --batch b --store other.db -o other.jsonl");
  CHECK(other.code == 0);
  CHECK(other.err.find("[metrics] cannot listen") != std::string::npos);
  worker.send(SIGTERM);
  CHECK(worker.wait(10'000)->code == 0);
  CHECK(get(base + "/healthz").status == 0);
}

TEST_CASE_METHOD(MillTest, "documents that wait are counted with their age", "[process]") {
  simulate("--latency 20s");
  const std::string port = std::to_string(free_port());
  configure(
      "[worker]\nin_flight = 2\n[providers.sim]\nbase_url = \"@URL@\"\n[models.m]\nprovider = "
      "\"sim\"\ninput = 1\noutput = 1\n[metrics]\nport = " +
      port + "\n");
  write_texts("docs.jsonl", 10);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] {
    const std::string text = get("http://127.0.0.1:" + port + "/metrics").text;
    return text.find("docmill_documents{state=\"queued\"} 8\n") != std::string::npos &&
           text.find("docmill_in_flight 2\n") != std::string::npos &&
           text.find("docmill_batches{state=\"open\"} 1\n") != std::string::npos &&
           text.find("docmill_oldest_queued_seconds 0\n") == std::string::npos;
  }));
  worker.kill();
}

}  // namespace docmill::process_test
