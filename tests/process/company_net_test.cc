// Networks between a company and a provider: a CA of its own, a proxy, keys in other headers.

#include <fstream>

#include "tests/process/mill_test.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;

class CompanyNetTest : public MillTest {
 protected:
  CompanyNetTest() {
    simulate("");
    make_certificates();
    Command command;
    const std::string port = url().substr(url().rfind(':') + 1);
    command.argv = {"/usr/bin/python3",
                    std::string(DOCMILL_SOURCE_DIR) + "/tests/process/company_net.py",
                    folder.string(), port.substr(0, port.find('/'))};
    command.env = {{"PATH", "/usr/bin:/bin"}};
    command.cwd = folder;
    command.err = folder / "net.err";
    net_.emplace(command);
    REQUIRE(becomes_true(20'000, [&] { return std::filesystem::exists(folder / "ports"); }));
    std::ifstream(folder / "ports") >> tls_port_ >> proxy_port_;
    env["MILL_TEST_KEY"] = "sk-company-0123456789abcdef";
    write_texts("docs.jsonl", 3);
  }

  void make_certificates() {
    write("make.sh",
          "set -e\n"
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
          "'/CN=Company CA' -keyout ca.key -out ca.pem\n"
          "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=front' "
          "-keyout server.key -out server.csr\n"
          "printf 'subjectAltName=IP:127.0.0.1,DNS:llm.company' > san\n"
          "openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
          "-extfile san -out server.pem\n");
    Command command;
    command.argv = {"/bin/sh", "make.sh"};
    command.env = {{"PATH", "/usr/bin:/bin"}};
    command.cwd = folder;
    Process made(command);
    const auto exit = made.wait(30'000);
    REQUIRE(exit);
    REQUIRE(exit->code == 0);
  }

  std::string tls_url() const { return "https://127.0.0.1:" + std::to_string(tls_port_) + "/v1"; }
  std::string proxy_url() const { return "http://127.0.0.1:" + std::to_string(proxy_port_); }
  // `provider`: lines of [providers.p].
  void configure_provider(const std::string& base_url, const std::string& provider) {
    configure("[worker]\nretry_base = \"10ms\"\nmax_tries = 2\n[providers.p]\nbase_url = \"" +
              base_url + "\"\nkey_env = \"MILL_TEST_KEY\"\n" + provider +
              "\n[models.m]\nprovider = \"p\"\ninput = 1\noutput = 1\n");
  }
  int run() {
    ++batches_;
    return docmill("run summarise docs.jsonl --fresh --batch b" + std::to_string(batches_) +
                   " -o out.jsonl")
        .code;
  }
  std::vector<json> log(const std::string& name) const {
    Ran lines;
    const std::filesystem::path file = folder / (name + ".log");
    if (std::filesystem::exists(file)) lines.out = read(file);
    return lines.lines();
  }

  int tls_port_ = 0, proxy_port_ = 0;

 private:
  std::optional<Process> net_;
  int batches_ = 0;
};

}  // namespace

TEST_CASE_METHOD(CompanyNetTest, "a CA of one's own, api-key, and more headers and query",
                 "[process]") {
  configure_provider(tls_url(),
                     "ca_file = \"ca.pem\"\nauth = \"api-key\"\nheaders = { x-team = \"legal\" }\n"
                     "query = { api-version = \"2024-10-21\" }");
  CHECK(run() == 0);
  const auto seen = log("tls");
  REQUIRE(seen.size() == 3);
  for (const json& request : seen) {
    CHECK(request.at("line") == "POST /v1/chat/completions?api-version=2024-10-21 HTTP/1.1");
    CHECK(request.at("headers").at("api-key") == "sk-company-0123456789abcdef");
    CHECK(request.at("headers").at("x-team") == "legal");
    CHECK_FALSE(request.at("headers").contains("authorization"));
  }
  CHECK(log("proxy").empty());
}

TEST_CASE_METHOD(CompanyNetTest, "a certificate that nobody vouches for is named, and nothing sent",
                 "[process]") {
  configure_provider(tls_url(), "");
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work");
  CHECK(becomes_true(20'000, [&] {
    const std::string said = docmill("status b").out;
    return said.find("certificate") != std::string::npos &&
           said.find("ca_file") != std::string::npos;
  }));
  worker.kill();
  CHECK(log("tls").empty());
}

TEST_CASE_METHOD(CompanyNetTest, "through a proxy of the config, or of the environment, or none",
                 "[process]") {
  configure_provider(tls_url(), "ca_file = \"ca.pem\"\nproxy = \"" + proxy_url() + "\"");
  CHECK(run() == 0);
  auto connects = log("proxy");
  REQUIRE_FALSE(connects.empty());
  for (const json& connect : connects) {
    CHECK(connect.at("line").get<std::string>().starts_with("CONNECT 127.0.0.1:"));
    CHECK(connect.dump().find("sk-company") == std::string::npos);  // the proxy sees no key
  }
  CHECK(log("tls").size() == 3);

  env["https_proxy"] = proxy_url();
  configure_provider(tls_url(), "ca_file = \"ca.pem\"");
  CHECK(run() == 0);
  CHECK(log("proxy").size() > connects.size());
  connects = log("proxy");
  configure_provider(tls_url(), "ca_file = \"ca.pem\"\nproxy = \"none\"");
  CHECK(run() == 0);
  CHECK(log("proxy").size() == connects.size());
  CHECK(log("tls").size() == 9);
}

TEST_CASE_METHOD(CompanyNetTest, "plain http in the company's own network, by its name",
                 "[process]") {
  configure_provider("http://vllm.company/v1", "proxy = \"" + proxy_url() + "\"");
  CHECK(run() == 2);  // not without a word
  configure_provider("http://vllm.company/v1",
                     "allow_http = true\nproxy = \"" + proxy_url() + "\"");
  CHECK(run() == 0);
  const auto seen = log("proxy");
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].at("line") == "POST http://vllm.company/v1/chat/completions HTTP/1.1");
  CHECK(seen[0].at("headers").at("authorization") == "Bearer sk-company-0123456789abcdef");
}

}  // namespace docmill::process_test
