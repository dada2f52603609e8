// Extractions against their JSON Schema.

#include "tasks/schema.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/pattern.h"
#include "tasks/task.h"
#include "tests/catch.h"
#include "tests/world.h"

namespace docmill {
namespace {

using nlohmann::json;

std::string problem(const std::string& schema, const std::string& value) {
  return JsonSchema(schema).problem(json::parse(value));
}

std::string refused(const std::string& schema) {
  try {
    const JsonSchema compiled(schema);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* kInvoice = R"({
  "type": "object", "required": ["number", "lines"], "additionalProperties": false,
  "properties": {
    "number": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
    "date": {"type": ["string", "null"], "format": "date"},
    "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}}},
  "$defs": {"line": {"type": "object", "required": ["amount"], "properties": {
    "amount": {"type": "number", "minimum": 0},
    "code": {"type": "string", "pattern": "^\\p{Lu}+$"}}}}})";

}  // namespace

TEST_CASE("an answer is held against its schema, and the fault is named", "[schema]") {
  CHECK(problem(kInvoice, R"({"number":"AB-1","lines":[{"amount":2.5,"code":"Ä"}]})") == "");
  CHECK(has(problem(kInvoice, R"({"number":"AB-1"})"), "lines"));
  CHECK(has(problem(kInvoice, R"({"number":"AB-1","lines":[]})"), "/lines"));
  CHECK(has(problem(kInvoice, R"({"number":7,"lines":[{"amount":1}]})"), "/number"));
  CHECK(has(problem(kInvoice, R"({"number":"AB-1","lines":[{"amount":-1}]})"), "/lines/0"));
  CHECK(has(problem(kInvoice, R"({"number":"AB-1","lines":[{"amount":1}],"x":1})"), "x"));
  CHECK(has(problem(kInvoice, R"({"number":"ab-1","lines":[{"amount":1}]})"),
            "/number: does not match the pattern"));
  CHECK(has(problem(kInvoice, R"({"number":"AB-1","lines":[{"amount":1,"code":"a"}]})"),
            "/lines/0/code: does not match"));
  // What `format` says is for the model alone.
  CHECK(problem(kInvoice, R"({"number":"AB-1","date":"soon","lines":[{"amount":1}]})") == "");
  CHECK(problem(R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", "3") == "");
  CHECK(problem(R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", "3.5") != "");
}

TEST_CASE("a schema with what would be ignored is refused by name and place", "[schema]") {
  CHECK(has(refused(R"({"properties":{"a":{"prefixItems":[]}}})"), "/properties/a"));
  CHECK(has(refused(R"({"properties":{"a":{"prefixItems":[]}}})"), "\"prefixItems\""));
  CHECK(has(refused(R"({"unevaluatedProperties":false})"), "unevaluatedProperties"));
  CHECK(has(refused(R"({"patternProperties":{"a":{}}})"), "patternProperties"));
  CHECK(has(refused(R"({"type":"objekt"})"), "schema"));
  CHECK(has(refused(R"({"$ref":"https://example.com/schema"})"), "$ref"));
  CHECK(has(refused(R"({"$ref":"#/definitions/none"})"), "there is no"));
  CHECK(has(refused(R"({"definitions":{"a":{"$ref":"#/definitions/a"}},"$ref":"#/definitions/a"})"),
            "circle"));
  CHECK(has(refused(R"({"pattern":"(["})"), "pattern"));
  CHECK(has(refused(R"({"anyOf":[{"pattern":"a"}]})"), "anyOf"));
  CHECK(has(refused("[]"), "object"));
  CHECK(refused(kInvoice) == "");
  // A list of a list of itself is no circle.
  CHECK(refused(R"({"type":"object","properties":{"children":{"type":"array",
                    "items":{"$ref":"#"}}}})") == "");
  CHECK(problem(R"({"type":"object","properties":{"children":{"type":"array",
                    "items":{"$ref":"#"}}}})",
                R"({"children":[{"children":[{"children":3}]}]})") != "");
}

TEST_CASE("no pattern and no text makes it run for long or overflow", "[schema]") {
  const std::string nested = R"({"type":"string","pattern":"^(a+)+$"})";
  CHECK(problem(nested, json(std::string(50'000, 'a') + "b").dump()) != "");
  CHECK(problem(R"({"type":"string","pattern":"^[a-z ]*$"})",
                json(std::string(1'000'000, 'a')).dump()) == "");
}

TEST_CASE("uniqueItems is checked, and a long list does not take long", "[schema]") {
  const JsonSchema schema(R"({"type":"object","properties":{"list":{"type":"array",)"
                          R"("uniqueItems":true}}})");
  const auto problem = [&](const std::string& list) {
    return schema.problem(nlohmann::json::parse(R"({"list":)" + list + "}"));
  };
  CHECK(problem(R"([1,"1",true,{"a":1},{"a":2},[1],null,1.5])") == "");
  CHECK(problem("[1,2,1.0]") == "/list: an item stands there twice");
  CHECK(problem(R"([{"a":1,"b":2},{"b":2,"a":1}])") != "");
  CHECK(problem("[1e300,1e300]") != "");
  nlohmann::json many = nlohmann::json::array();
  for (int i = 0; i < 200'000; ++i) many.push_back(i);  // in pairs these would take minutes
  CHECK(schema.problem({{"list", many}}) == "");
  // Within branches and definitions valijson does it.
  const JsonSchema shared(R"({"$defs":{"l":{"uniqueItems":true}},"anyOf":[{"$ref":"#/$defs/l"}]})");
  CHECK(shared.problem(nlohmann::json::parse("[1,1]")) != "");
}

TEST_CASE_METHOD(WorkerTest,
                 "an invalid answer is mended once with the reason, then the next model",
                 "[schema]") {
  net.set_body("large", R"({"model":"large","choices":[{"finish_reason":"stop","message":{)"
                        R"("content":"{\"total\":\"much\"}"}}],)"
                        R"("usage":{"prompt_tokens":5,"completion_tokens":5}})");
  net.set_body("small", R"({"model":"small","choices":[{"finish_reason":"stop","message":{)"
                        R"("content":"```json\n{\"total\":3}\n```"}}],)"
                        R"("usage":{"prompt_tokens":5,"completion_tokens":5}})");
  SqliteCommit commit;
  create_or_migrate(store);
  {
    Database db(store, Access::read_write, commit);
    JobQueue queue(db, clock, options.policy);
    TaskParameters parameters;
    parameters.schema_text =
        R"({"type":"object","required":["total"],"properties":{"total":{"type":"number"}}})";
    BatchSpec spec = make_spec("extract", parameters);
    spec.routes = {{"default", chain}};
    Batch wanted;
    wanted.name = "b";
    wanted.task = "extract";
    wanted.tenant = "default";
    wanted.spec = to_json_text(spec);
    const Batch made = queue.open_batch_in_transaction(wanted);
    NewJob job;
    job.item_key = "d1";
    job.source = "test";
    job.text = "The total is 3.";
    job.content_hash = std::string(32, 'h');
    queue.add_in_transaction(made.id, std::vector<NewJob>{job});
    queue.seal_in_transaction(made.id);
  }
  run_until_idle();
  CHECK(state("d1") == "done");
  CHECK(output("d1") == R"({"total":3})");
  REQUIRE(net.sent.size() == 3);
  CHECK(net.sent[1].model == "large");
  CHECK(net.sent[2].model == "small");
  CHECK_FALSE(has(net.bodies[0], "was refused"));
  CHECK(has(net.bodies[1], "The last answer to this was refused"));
  CHECK(has(net.bodies[1], "/total"));
}

}  // namespace docmill
