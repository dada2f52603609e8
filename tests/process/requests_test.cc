// A batch file written for OpenAI goes through and comes back as one.

#include <map>

#include "tests/process/mill_test.h"

namespace docmill::process_test {

using nlohmann::json;

TEST_CASE_METHOD(MillTest, "a batch file of requests comes back line by line, in its order",
                 "[process]") {
  simulate("--latency 5ms --mix length=0.2");
  configure(R"toml(
[worker]
in_flight = 8
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
input = 0.42
output = 0.84
stream = true
)toml");
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    lines += json{{"custom_id", "r" + std::to_string(100 - i)},
                  {"method", "POST"},
                  {"url", i == 7 ? "/v1/embeddings" : "/v1/chat/completions"},
                  {"body",
                   {{"model", "gpt-x"},
                    {"max_tokens", 50},
                    {"messages", {{{"role", "user"}, {"content", std::to_string(i)}}}}}}}
                 .dump() +
             "\n";
  }
  write("in.jsonl", lines);
  CHECK(docmill("run summarise in.jsonl --batch x --format openai-batch").code == 2);
  CHECK(docmill("run requests in.jsonl --models m --batch b --max-cost 1 --format openai-batch "
                "-o batch.jsonl")
            .code == 1);
  Ran read_back;
  read_back.out = read(folder / "batch.jsonl");
  const std::vector<json> out = read_back.lines();
  REQUIRE(out.size() == 40);
  int cut_off = 0;
  for (int i = 0; i < 40; ++i) {
    const json& line = out[static_cast<std::size_t>(i)];
    CHECK(line.at("custom_id") == "r" + std::to_string(100 - i));
    if (i == 7) {
      CHECK(line.at("response").is_null());
      CHECK(line.at("error").at("code") == "unreadable");
      continue;
    }
    CHECK(line.at("error").is_null());
    const json& body = line.at("response").at("body");
    CHECK(body.at("usage").at("prompt_tokens").get<int>() > 0);
    if (body.at("choices")[0].at("finish_reason") == "length") ++cut_off;
  }
  CHECK(cut_off > 0);
  CHECK(sent_count() == 39);  // a cut-off answer is a result, too
  CHECK(docmill("results b --format openai-batch --out dir").code == 2);

  // A picture may cost more than its bytes: never under a cap.
  write("picture.jsonl",
        R"({"custom_id":"p","body":{"messages":[{"role":"user","content":[)"
        R"({"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]}]}})");
  CHECK(docmill("run requests picture.jsonl --batch p --max-cost 1 -o x.jsonl").code == 1);
  CHECK(sent_count() == 39);
  CHECK(docmill("results p").lines()[0].at("error").at("class") == "unbounded");
}

TEST_CASE_METHOD(MillTest, "a request goes to the model that it names, then down the chain",
                 "[process]") {
  simulate("");
  configure(R"toml(
[worker]
max_tries = 1
[providers.sim]
base_url = "@URL@"
[models.cheap]
provider = "sim"
name = "cheap-1"
max_tokens_field = "max_completion_tokens"
[models.dear]
provider = "sim"
name = "dear-1+500=1"
[defaults]
chain = ["cheap", "dear"]
)toml");
  const std::vector<std::pair<std::string, json>> bodies = {
      {"by-key", {{"model", "cheap"}}},
      {"by-name", {{"model", "cheap-1"}, {"max_tokens", 9}}},
      {"falls-back", {{"model", "dear"}, {"max_tokens", 9}}},
      {"without", json::object()},
      {"unknown", {{"model", "gpt-x"}}},
      {"stream", {{"model", "cheap"}, {"stream", true}}}};
  std::string lines;
  for (auto [id, body] : bodies) {
    body["messages"] = {{{"role", "user"}, {"content", "text of " + id}}};
    lines += json{{"custom_id", id}, {"body", body}}.dump() + "\n";
  }
  write("in.jsonl", lines);
  CHECK(docmill("run requests in.jsonl --batch b -o out.jsonl").code == 1);
  std::map<std::string, json> results;
  for (const json& line : docmill("results b").lines())
    results[line.at("id").get<std::string>()] = line;
  for (const char* id : {"by-key", "by-name", "falls-back", "without"}) {
    CAPTURE(id);
    CHECK(results[id].at("state") == "done");
    CHECK(results[id].at("model") == "cheap");
    CHECK(results[id].at("fallback") == (std::string(id) == "falls-back"));
  }
  CHECK(results["unknown"].at("error").at("message").get<std::string>().find("\"gpt-x\"") !=
        std::string::npos);
  CHECK(results["stream"].at("error").at("message").get<std::string>().find("stream") !=
        std::string::npos);
  CHECK(docmill("run requests in.jsonl --models cheap --batch all -o all.jsonl").code == 1);
  CHECK(docmill("results all --failed").lines().size() == 1);  // the stream
}

}  // namespace docmill::process_test
