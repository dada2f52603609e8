// What the config protects: keys, where they go, whose file is read. And the files we ship.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/errors.h"
#include "config/base_url.h"
#include "config/config.h"
#include "config/templates.h"
#include "tests/catch.h"
#include "tests/config_text.h"

using namespace docmill;
using namespace docmill::config_text;
namespace fs = std::filesystem;

namespace {

void check_parts(const std::string& before, const std::vector<Bad>& table) {
  for (const Bad& bad : table) {
    CAPTURE(bad.text);
    CHECK_THAT(complaint(before + bad.text), Catch::Contains(bad.complaint));
  }
}

// A current folder of one's own, with nothing of the caller's environment in it.
class FolderTest {
 public:
  FolderTest() : before_(fs::current_path()) {
    std::string pattern = (fs::temp_directory_path() / "docmill-config-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    fs::current_path(folder_);
    unsetenv("DOCMILL_CONFIG");
    setenv("XDG_CONFIG_HOME", (folder_ / "xdg").c_str(), 1);
  }
  ~FolderTest() {
    unsetenv("DOCMILL_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    fs::current_path(before_);
    fs::remove_all(folder_);
  }

 protected:
  void write(const fs::path& file, mode_t mode) {
    if (file.has_parent_path()) fs::create_directories(file.parent_path());
    std::ofstream(file) << kBase;
    chmod(file.c_str(), mode);
  }
  std::string refusal() {
    try {
      const auto found = find_config(std::nullopt);
      return found ? "found " + found->string() : "none";
    } catch (const UsageError& error) {
      return error.what();
    }
  }
  fs::path folder_;

 private:
  fs::path before_;
};

}  // namespace

TEST_CASE("a key never stands in the config, and is never repeated") {
  const std::string key = "sk-proj-abcDEF123456";
  const std::vector<Bad> table = {
      {provider_with("key_env = \"" + key + "\""), ":3: \"key_env\" takes the NAME"},
      {provider_with("key_env = \"7f3c0a9be4d2418b8c1f6a5d9e0b7c3d\""),
       ":3: \"key_env\" takes the"},
      {provider_with("key_env = \"MY KEY\""), ":3: \"key_env\" takes the NAME"},
      {provider_with("key_file = \"" + key + "\""), ":3: \"key_file\" takes the PATH"},
      {provider_with("key_file = \"~/key\""), ":3: \"key_file\" begins with ~"},
      {provider_with("key_credential = \"" + key + "\""), ":3: \"key_credential\" takes the NAME"},
      {provider_with("key_credential = \"../x\""), ":3: \"key_credential\" takes the NAME"},
      {provider_with("api_key = \"" + key + "\""), ":3: unknown key \"api_key\"; keys never stand"},
      {provider_with("key = \"" + key + "\""), ":3: unknown key \"key\"; keys never stand"},
      {provider_with("token = \"" + key + "\""), ":3: unknown key \"token\"; keys never stand"},
      {provider_with("auth = \"" + key + "\""), ":3: \"auth\" must be"},
      {provider_with("in_flight = \"" + key + "\""), ":3: \"in_flight\" must be"},
      {provider_with("headers = { X-Key = \"" + key + "\" }"),
       ":3: \"headers\": X-Key holds a key"},
      {provider_with("headers = { X-Key = \"Bearer x\" }"), ":3: \"headers\": X-Key holds a key"},
      {provider_with("query = { key = \"x\" }"), ":3: \"query\": key holds a key"},
      {provider_with("key_env = " + key), ":3: Error while parsing"},
      {provider_with("key_env = \"A\"\nkey_file = \"b\""),
       ":4: [providers.acme] has key_env and key_file; a provider has one key"},
  };
  check_parts("", table);
  for (const Bad& bad : table) {
    CHECK_THAT(complaint(bad.text), !Catch::Contains("abcDEF") && !Catch::Contains("7f3c0a9b"));
  }
}

TEST_CASE("headers that docmill sets, or that would break a request, are refused") {
  check_parts(
      "",
      {
          {provider_with("headers = { authorization = \"x\" }"),
           ":3: \"headers\": authorization is set"},
          {provider_with("headers = { X-API-Key = \"x\" }"),
           ":3: \"headers\": X-API-Key is set by"},
          {provider_with("[providers.acme.headers]\nHost = \"x\""),
           ":4: \"headers\": Host is set by"},
          {provider_with("headers = { Content-Length = \"1\" }"),
           "Content-Length is set by docmill"},
          {provider_with("headers = { \"a b\" = \"1\" }"), "a b is not a header's name"},
          {provider_with("headers = { x = \"1\", X = \"2\" }"), "is there twice"},
          {provider_with("headers = { x = \"1\\r\\nHost: evil\" }"), ":3: \"headers\" takes names"},
          {provider_with("headers = { x = 1 }"), ":3: \"headers\" takes names"},
          {provider_with("query = { \"a\\u0000\" = \"1\" }"), ":3: \"query\" takes names"},
      });
}

TEST_CASE("where documents and keys may be sent") {
  const auto complaint_of = [](const std::string& url) {
    return check_base_url(url, PlainHttp::loopback_only).complaint;
  };
  for (const char* url :
       {"https://api.openai.com/v1", "https://h:8443/a/b", "https://[2001:db8::1]/v1",
        "http://localhost:11434/v1", "http://LOCALHOST/", "http://127.0.0.1:8000",
        "http://127.9.8.7/v1", "http://127.1/v1", "http://[::1]:8000/v1", "https://host/@cf/v1"}) {
    CAPTURE(url);
    CHECK(complaint_of(url).empty());
  }
  const std::string unencrypted = "would send key and documents unencrypted";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"http://api.openai.com/v1", unencrypted},
      {"http://127.0.0.1.evil.com/", unencrypted},
      {"http://localhost.evil.com/", unencrypted},
      {"http://128.0.0.1/", unencrypted},
      {"http://[::2]/", unencrypted},
      {"http://0.0.0.0/", unencrypted},
      {"http://10.0.0.1/", unencrypted},
      {"https://user:pass@api.openai.com/v1", "has a user or password"},
      {"https://@api.openai.com/v1", "has a user or password"},
      {"http://localhost@evil.com/", "has a user or password"},
      {"https://api.openai.com/v1?x=1", "has a query"},
      {"https://api.openai.com/v1?", "has a query"},
      {"https://api.openai.com/v1#a", "has a fragment"},
      {"https://api.openai.com/v1 ", "has a blank"},
      {"https://api.openai.com\n/v1", "has a blank"},
      {"https://api.openai.com\\@evil.com/", "has a backslash"},
      {"https://\xd0\xb0pi.openai.com/", "has a blank, a control character or a letter beyond"},
      {"api.openai.com/v1", "is not a whole URL"},
      {"", "is not a whole URL"},
      {"https://", "is not a URL"},
      {"https://h:99999/", "is not a URL"},
      {"https://h:0/", "has port 0"},
      {"ftp://api.openai.com/", "must begin with https://"},
      {"file:///etc/passwd", "must begin with https://"},
      {"https://api.openai.com/v1/chat/completions", "must end before /chat/completions"},
      {"https://api.anthropic.com/v1/messages/", "must end before /messages"},
  };
  for (const auto& [url, part] : bad) {
    CAPTURE(url);
    CHECK_THAT(complaint_of(url), Catch::Contains(part));
  }
  CHECK(check_base_url("http://vllm:8000/v1//", PlainHttp::anywhere).url == "http://vllm:8000/v1");
  CHECK(complaint("[providers.a]\n\nbase_url = \"http://vllm/v1\"\n") ==
        "./docmill.toml:3: \"base_url\" would send key and documents unencrypted; write https://, "
        "or allow_http = true beside it");
  CHECK(complaint("[providers.a]\nbase_url = \"http://vllm/v1\"\nallow_http = true\n") == "(none)");
  CHECK(complaint("[providers.a]\nkey_env = \"A\"\n") ==
        "./docmill.toml:1: [providers.a] needs base_url = \"https://...\"");
  CHECK_THAT(complaint(provider_with("proxy = \"http://u:secret@p:1\"")),
             Catch::Contains(":3: \"proxy\" has a user or password") && !Catch::Contains("secret"));
  CHECK(complaint(provider_with("proxy = \"none\"")) == "(none)");
}

TEST_CASE_METHOD(FolderTest, "a docmill.toml of one's own in the current folder is used") {
  write("docmill.toml", 0600);
  CHECK(refusal() == "found ./docmill.toml");
  CHECK(load_config("./docmill.toml").models.size() == 2);
  chmod("docmill.toml", 0644);
  CHECK(refusal() == "found ./docmill.toml");
}

TEST_CASE_METHOD(FolderTest, "a planted docmill.toml is refused by name, with the way out") {
  write("docmill.toml", 0666);
  CHECK(refusal() ==
        "./docmill.toml is not used: others can write to it (chmod go-w "
        "docmill.toml). Look at it, and name it if it is yours: --config "
        "./docmill.toml");
  CHECK(find_config("./docmill.toml") == "./docmill.toml");
  chmod("docmill.toml", 0620);
  CHECK_THAT(refusal(), Catch::Contains("others can write to it"));
  chmod("docmill.toml", 0600);
  chmod(".", 0777);
  CHECK_THAT(refusal(), Catch::Contains("everybody can write to its folder"));
  chmod(".", 01777);
  CHECK(refusal() == "found ./docmill.toml");
  if (geteuid() != 0) return;  // only root can give files away
  REQUIRE(chown("docmill.toml", 12345, 12345) == 0);
  CHECK_THAT(refusal(), Catch::Contains("it belongs to somebody else"));
}

TEST_CASE_METHOD(FolderTest, "a link counts only when both ends can be trusted") {
  write("elsewhere/real.toml", 0600);
  fs::create_symlink("elsewhere/real.toml", "docmill.toml");
  CHECK(refusal() == "found ./docmill.toml");
  chmod("elsewhere", 0777);
  CHECK_THAT(refusal(), Catch::Contains("everybody can write to its folder"));
  chmod("elsewhere", 0755);
  chmod("elsewhere/real.toml", 0646);
  CHECK_THAT(refusal(), Catch::Contains("others can write to it"));
  fs::remove("elsewhere/real.toml");
  CHECK_THAT(refusal(), Catch::Contains("it is a link to nothing"));
  if (geteuid() != 0) return;
  write("elsewhere/real.toml", 0600);
  REQUIRE(chown("elsewhere/real.toml", 12345, 12345) == 0);
  CHECK_THAT(refusal(), Catch::Contains("it is a link to somebody else's file"));
  REQUIRE(lchown("docmill.toml", 12345, 12345) == 0);
  CHECK_THAT(refusal(), Catch::Contains("it belongs to somebody else"));
}

TEST_CASE_METHOD(FolderTest, "the order in which a config is looked for") {
  write("xdg/docmill/docmill.toml", 0600);
  CHECK(refusal() == "found " + (folder_ / "xdg/docmill/docmill.toml").string());
  write("docmill.toml", 0600);
  CHECK(refusal() == "found ./docmill.toml");
  write("other.toml", 0600);
  setenv("DOCMILL_CONFIG", "other.toml", 1);
  CHECK(refusal() == "found other.toml");
  CHECK(find_config("docmill.toml") == "docmill.toml");
  CHECK_THROWS_WITH(find_config("gone.toml"),
                    "--config names gone.toml: No such file or directory");
  CHECK_THROWS_WITH(find_config("xdg"),
                    "--config names xdg, which is a folder; name the file in it");
  setenv("DOCMILL_CONFIG", "gone.toml", 1);
  CHECK(refusal() == "DOCMILL_CONFIG names gone.toml: No such file or directory");
  setenv("DOCMILL_CONFIG", "", 1);
  CHECK(refusal() == "found ./docmill.toml");
  CHECK_THROWS_AS(load_config("gone.toml"), UsageError);
}

TEST_CASE("the example config loads, with the source article's models and routes") {
  const Config config = load_config(fs::path(DOCMILL_SOURCE_DIR) / "config/dist/docmill.toml");
  const auto prices = [&config](const std::string& model) {
    const ModelPrice price = config.models.at(model).price.value().base;
    return std::pair(price.input_pusd, price.output_pusd);
  };
  using Pair = std::pair<std::int64_t, std::int64_t>;
  CHECK(prices("deepseek-v3.2") == Pair{420'000, 420'000});
  CHECK(prices("gemini-2.5-flash") == Pair{2'500'000, 2'500'000});
  CHECK(prices("gpt-4.1") == Pair{8'000'000, 8'000'000});
  CHECK(prices("claude-sonnet-4.5") == Pair{15'000'000, 15'000'000});
  CHECK(prices("openai/gpt-4.1-mini") == Pair{400'000, 1'600'000});
  CHECK(config.models.at("deepseek-v3.2").price->base.cached_input_pusd == 42'000);
  CHECK(config.models.at("anthropic/claude-sonnet-4.5").name == "claude-sonnet-4-5");
  CHECK(config.routes.at("simple_qa") == Chain{"deepseek-v3.2", "gemini-2.5-flash"});
  CHECK(config.routes.at("code_generation") == Chain{"deepseek-v3.2", "gpt-4.1"});
  CHECK(config.routes.at("complex_reasoning") == Chain{"gpt-4.1", "claude-sonnet-4.5"});
  CHECK(config.routes.at("long_context") == Chain{"claude-sonnet-4.5", "gpt-4.1"});
}

// The example's comments are taken at their word: with every "# key = value" uncommented it loads.
TEST_CASE("what the example config shows as comments is valid") {
  std::ifstream in(fs::path(DOCMILL_SOURCE_DIR) / "config/dist/docmill.toml");
  std::string text;
  int uncommented = 0;
  for (std::string line; std::getline(in, line); text += line + "\n") {
    const std::size_t equals = line.find(" = ");
    const bool is_key =
        line.substr(0, 2) == "# " && equals != std::string::npos && line.find(' ', 2) == equals;
    const bool is_rule = line.substr(0, 5) == "#   {" || line == "# ]";
    if (!is_key && !is_rule && line.substr(0, 3) != "# [") continue;
    line.erase(0, 2);
    ++uncommented;
  }
  CHECK(complaint(text) == "(none)");
  CHECK(uncommented > 50);
}

TEST_CASE("every template loads without a warning and says how to give it a key") {
  CHECK(config_template_names() == std::vector<std::string>{"openai", "anthropic", "deepseek",
                                                            "gemini", "openrouter", "ollama",
                                                            "vllm"});
  for (const std::string& name : config_template_names()) {
    CAPTURE(name);
    const Config config = parse(config_template(name));
    CHECK(config.providers.count(name) == 1);
    CHECK_FALSE(config.default_chain.empty());
    for (const auto& [key, model] : config.models) CHECK(model.price);
    CHECK((config.providers.at(name).key_env.empty()) == (name == "ollama" || name == "vllm"));
  }
  CHECK_THROWS_WITH(config_template("opnai"),
                    "there is no template for \"opnai\"; there is openai, anthropic, deepseek, "
                    "gemini, openrouter, ollama, vllm");
}
