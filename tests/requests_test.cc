// OpenAI's batch files through docmill: bodies and replies keep their bytes.

#include <fstream>
#include <nlohmann/json.hpp>

#include "documents/read.h"
#include "llm/json_span.h"
#include "llm/reply.h"
#include "llm/request.h"
#include "report/results.h"
#include "tasks/task.h"
#include "tests/catch.h"
#include "tests/world.h"

namespace docmill {
namespace {

using nlohmann::json;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

HttpReply reply_of(const std::string& body) {
  HttpReply reply;
  reply.status = 200;
  reply.body = body;
  return reply;
}

}  // namespace

TEST_CASE("a member is found and replaced by its place", "[requests]") {
  const std::string object =
      R"( { "a" : {"model": "x"}, "n": 1.50, "model"  :"y", "t":[1,{"model":2}]} )";
  CHECK(member_text(object, "model") == R"("y")");
  CHECK(member_text(object, "a") == R"({"model": "x"})");
  CHECK(member_text(object, "n") == "1.50");
  CHECK(member_text(object, "t") == R"([1,{"model":2}])");
  CHECK_FALSE(member_text(object, "x"));
  CHECK(with_member(object, "model", R"("z")") ==
        R"( { "a" : {"model": "x"}, "n": 1.50, "model"  :"z", "t":[1,{"model":2}]} )");
  CHECK(with_member("{}", "model", "1") == R"({"model": 1})");
  CHECK(with_member(R"({"b": 2})", "model", "1") == R"({"model": 1, "b": 2})");
  CHECK(member_text(R"({"mod\u0065l": 5, "s": "}\"]", "e": true})", "model") == "5");
  CHECK(member_text(R"({"mod\u0065l": 5, "s": "}\"]", "e": true})", "e") == "true");
}

TEST_CASE("batch lines are read with their bodies as they are", "[requests]") {
  const Scratch scratch;
  const auto file = scratch.path / "in.jsonl";
  const std::string body =
      R"({"model": "gpt-x",  "temperature": 0.10, "messages": [{"role": "user", "content": "é"}]})";
  std::ofstream(file)
      << R"({"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": )" << body
      << "}\n"
      << R"({"custom_id": "r2", "url": "/v1/embeddings", "body": {"input": "x"}})"
      << "\n"
      << R"({"body": {"messages": []}})"
      << "\n"
      << R"({"custom_id": "r4", "body": {"prompt": "x"}})"
      << "\nnonsense\n";
  std::map<std::string, Document> documents;
  ReadOptions options;
  options.format = Format::openai_batch;
  read_documents({file.string()}, options,
                 [&](Document document) { documents[document.id] = std::move(document); });
  CHECK(documents.at("r1").text == body);
  CHECK(has(documents.at("r2").error, "/v1/embeddings"));
  CHECK(has(documents.at("in.jsonl:3").error, "custom_id"));
  CHECK(has(documents.at("r4").error, "messages"));
  CHECK(has(documents.at("in.jsonl:5").error, "line 5"));
}

TEST_CASE("a request is sent as it is but for the model and the stream", "[requests]") {
  const BatchSpec spec = make_spec("requests", {});
  Model model;
  model.name = "served-1";
  model.max_output_tokens = 4000;
  const std::string body =
      R"({"n": 3, "max_tokens": 10, "stream": true, "model": "gpt-x", "seed": 1.0,)"
      R"( "messages": []})";
  const ChatRequest request = request_for(spec, model, body);
  CHECK(request.max_output_tokens == 30);
  const EncodedRequest encoded =
      RequestEncoder().encode(request, model, form_of(model), Dialect::openai);
  CHECK(encoded.body ==
        R"({"n": 3, "max_tokens": 10, "stream": false, "model": "served-1", "seed": 1.0,)"
        R"( "messages": []})");
  CHECK(encoded.max_output_tokens == 30);
  CHECK(encoded.max_input_tokens > static_cast<std::int64_t>(encoded.body.size()));
  CHECK(request_for(spec, model, R"({"messages":[]})").max_output_tokens == 4000);

  // Another model than it names calls its limit by another name.
  Form form = form_of(model);
  form.max_tokens_field = "max_completion_tokens";
  CHECK(RequestEncoder().encode(request, model, form, Dialect::openai).body ==
        R"({"n": 3, "max_completion_tokens": 10, "stream": false, "model": "served-1",)"
        R"( "seed": 1.0, "messages": []})");
  const ChatRequest own =
      request_for(spec, model, R"({"model": "served-1", "max_tokens": 10, "messages": []})");
  CHECK(RequestEncoder().encode(own, model, form, Dialect::openai).body ==
        R"({"model": "served-1", "max_tokens": 10, "messages": []})");
  CHECK_FALSE(raised_limit(request, model));
}

TEST_CASE("what no count of bytes bounds is found in a body", "[requests]") {
  CHECK(unbounded_in_body(R"({"messages":[{"content":"x"}],"tools":[{"type":"function"}]})") == "");
  CHECK(unbounded_in_body(R"({"messages":[{"content":[{"type":"text","text":"x"}]}]})") == "");
  CHECK(
      has(unbounded_in_body(R"({"messages":[{"content":[{"type":"image_url"}]}]})"), "image_url"));
  CHECK(has(unbounded_in_body(R"({"messages":[],"tools":[{"type":"web_search"}]})"), "web_search"));
  CHECK(unbounded_in_body(R"({"messages":[{"content":[{"type":5}]}],"tools":[7]})") != "");
  CHECK(unbounded_in_body(R"({"messages":5,"tools":null})") == "");
  CHECK(unbounded_in_body(R"({"messages":[],"web_search_options":{}})") == "web_search_options");
  CHECK(unbounded_in_body(R"({"messages":[],"provider":{}})") == "provider");
  CHECK(unbounded_in_body(R"({"messages":[],"service_tier":"flex"})") == "");
  CHECK(unbounded_in_body(R"({"messages":[],"service_tier":null})") == "");
  CHECK(has(unbounded_in_body(R"({"messages":[],"service_tier":"priority"})"), "priority"));
  CHECK(has(unbounded_in_body(R"({"messages":[],"service_tier":"auto"})"), "auto"));
}

TEST_CASE("replies are results as they are: tools, cut off, several", "[requests]") {
  for (const std::string body :
       {R"({"choices":[{"finish_reason":"tool_calls","message":{"content":null,)"
        R"("tool_calls":[{}]}}]})",
        R"({"choices":[{"finish_reason":"length","message":{"content":"half"}}]})",
        R"({"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}],"x":1.00})"}) {
    CHECK(raw_answer(reply_of(body)) == body);
  }
  CHECK_FALSE(raw_answer(reply_of(R"({"error":{"message":"no"},"choices":[{}]})")));
  CHECK_FALSE(raw_answer(reply_of(R"({"choices":[]})")));
  for (const char* none : {"null", "{}", "\"\""}) {
    CHECK(raw_answer(reply_of(std::string(R"({"error":)") + none + R"(,"choices":[{}]})")));
  }
  CHECK_FALSE(raw_answer(reply_of("no json")));
  HttpReply cut = reply_of(R"({"choices":[{}]})");
  cut.exchange = Exchange::cut;
  CHECK_FALSE(raw_answer(cut));
}

TEST_CASE("output lines are those that OpenAI writes", "[requests]") {
  ResultRow row;
  row.id = {7};
  row.item_key = "r\"1";
  row.state = "done";
  row.output = "{\n  \"choices\": [{\"n\": 1.50}]\n}";
  const std::string done = openai_batch_line(row);
  CHECK(json::parse(done).at("custom_id") == "r\"1");
  CHECK(json::parse(done).at("response").at("status_code") == 200);
  CHECK(has(done, "1.50"));
  CHECK(done.find('\n') == done.size() - 1);
  row.output.reset();
  row.state = "failed";
  row.error_class = "bad_request";
  row.error_message = "no such \"thing\"";
  const json failed = json::parse(openai_batch_line(row));
  CHECK(failed.at("response").is_null());
  CHECK(failed.at("error").at("code") == "bad_request");
  row.state = "cancelled";
  CHECK(json::parse(openai_batch_line(row)).at("error").at("code") == "batch_cancelled");
}

}  // namespace docmill
