#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "base/errors.h"
#include "documents/read.h"
#include "tasks/task.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::map<std::string, Document> read(const std::vector<std::string>& inputs) {
  std::map<std::string, Document> documents;
  read_documents(inputs, {},
                 [&](Document document) { documents[document.id] = std::move(document); });
  return documents;
}

}  // namespace

TEST_CASE("a folder is read in order, hidden files aside, and nothing is dropped") {
  const Scratch scratch;
  const fs::path docs = scratch.path / "docs";
  write(docs / "b.txt", "b");
  write(docs / "a" / "deep.md", "# deep");
  write(docs / "GPL-2.0", "licence");
  write(docs / ".hidden", "no");
  write(docs / "scan.pdf", "%PDF-1.4 and no more");
  write(docs / "empty.txt", " \n");
  write(docs / "binary.txt", std::string("a\0b", 3));
  write(docs / "latin.txt", "caf\xe9");
  write(docs / "bom.txt", "\xef\xbb\xbfwith a mark");
  write(docs / "wide.txt", std::string("\xff\xfeh\0i\0", 6));
  fs::create_directory_symlink(docs, docs / "loop");
  const auto documents = read({docs.string() + "/"});
  CHECK(documents.size() == 9);
  CHECK(documents.at("docs/b.txt").text == "b");
  CHECK(documents.at("docs/a/deep.md").source == (docs / "a" / "deep.md").string());
  CHECK(documents.at("docs/GPL-2.0").text == "licence");
  CHECK(documents.at("docs/bom.txt").text == "with a mark");
  CHECK(documents.at("docs/wide.txt").text == "hi");
  CHECK(documents.at("docs/scan.pdf").error.find("pdftotext cannot read it") == 0);
  CHECK(documents.at("docs/empty.txt").error == "it has no text");
  CHECK(documents.at("docs/binary.txt").error.find("NUL") != std::string::npos);
  CHECK(documents.at("docs/latin.txt").error.find("UTF-8") != std::string::npos);
}

TEST_CASE("JSONL lines are documents, with their ids, extras and faults by line") {
  const Scratch scratch;
  const fs::path file = scratch.path / "mails.jsonl";
  write(file,
        "{\"id\": \"m1\", \"text\": \"hello\", \"from\": \"ann\", \"route\": \"fast\"}\n"
        "\n"
        "{\"id\": 7, \"text\": \"seven\"}\r\n"
        "{\"text\": \"no id\"}\n"
        "{\"id\": \"m5\"}\n"
        "not json\n");
  const auto documents = read({file.string()});
  CHECK(documents.size() == 5);
  CHECK(documents.at("m1").text == "hello");
  CHECK(documents.at("m1").extra == "{\"from\":\"ann\"}");
  CHECK(documents.at("m1").route == "fast");
  CHECK(documents.at("7").text == "seven");
  CHECK(documents.at("mails.jsonl:4").text == "no id");
  CHECK(documents.at("m5").error == "the line has no \"text\" (line 5)");
  CHECK(documents.at("mails.jsonl:6").error == "the line is not a JSON object (line 6)");
}

TEST_CASE("one id from two places is the user's to mend") {
  const Scratch scratch;
  write(scratch.path / "one" / "x.txt", "1");
  write(scratch.path / "two" / "x.txt", "2");
  CHECK_THROWS_AS(
      read({(scratch.path / "one" / "x.txt").string(), (scratch.path / "two" / "x.txt").string()}),
      UsageError);
  CHECK_THROWS_AS(read({(scratch.path / "missing").string()}), UsageError);
}

TEST_CASE("an input that is no file does not hang us") {
  const Scratch scratch;
  const fs::path fifo = scratch.path / "fifo.txt";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const auto documents = read({fifo.string()});
  CHECK(documents.at("fifo.txt").error.find("not a regular file") != std::string::npos);
  const fs::path lines = scratch.path / "fifo.jsonl";
  REQUIRE(mkfifo(lines.c_str(), 0600) == 0);
  CHECK(read({lines.string()}).at("fifo.jsonl").error.find("not a regular file") !=
        std::string::npos);
}

TEST_CASE("tasks say what they miss") {
  CHECK_THROWS_AS(make_spec("translate", {}), UsageError);
  CHECK_THROWS_AS(make_spec("extract", {}), UsageError);
  CHECK_THROWS_WITH(make_spec("sumarise", {}),
                    "unknown task \"sumarise\"; did you mean \"summarise\"?");
  TaskParameters with_schema;
  with_schema.schema_text = "[1]";
  CHECK_THROWS_AS(make_spec("extract", with_schema), UsageError);
  TaskParameters to;
  to.to = "German";
  CHECK_THROWS_AS(make_spec("summarise", to), UsageError);
  CHECK(make_spec("summarize", {}).task == "summarise");
  CHECK(make_spec("translate", to).system.find("into German") != std::string::npos);
}

TEST_CASE("a spec comes back from its text as it went in, and differences have a name") {
  TaskParameters to;
  to.to = "German";
  to.instructions = "Keep \"quotes\" and {braces}.";
  BatchSpec spec = make_spec("translate", to);
  spec.routes = {{"default", {"a", "b"}}, {"long", {"c"}}};
  CHECK(parse_batch_spec(to_json_text(spec)) == spec);
  CHECK(difference(spec, spec) == "");

  BatchSpec other = spec;
  other.routes[0].chain = {"b"};
  CHECK(difference(spec, other) == "its chain is a > b, not b");
  other = spec;
  other.routes.push_back({"new in the config", {"d"}});
  CHECK(difference(spec, other) == "");
  to.to = "French";
  other = make_spec("translate", to);
  other.routes = spec.routes;
  CHECK(difference(spec, other) == "--to was \"German\", not \"French\"");
}

TEST_CASE("only JSON is a result of an extraction") {
  TaskParameters fields;
  fields.schema_text = schema_of_fields("name, total number");
  const BatchSpec spec = make_spec("extract", fields);
  CHECK(check_answer(spec, " {\"name\": \"x\", \"total\": 1.50}\n", nullptr).result ==
        "{\"name\":\"x\",\"total\":1.5}");
  CHECK(check_answer(spec, "```json\n{\"name\": null, \"total\": 2}\n```", nullptr).result ==
        "{\"name\":null,\"total\":2}");
  CHECK_FALSE(check_answer(spec, "Here it is: {\"name\": 1}", nullptr).result);
  CHECK_FALSE(check_answer(spec, "{\"name\": ", nullptr).result);
  CHECK_FALSE(check_answer(spec, std::string(100'000, '['), nullptr).result);
}

TEST_CASE("fields make a schema, and a wrong type is named") {
  CHECK(schema_of_fields("due date string") ==
        R"({"type":"object","properties":{"due date":{"type":["string","null"]}},)"
        R"("required":["due date"],"additionalProperties":false})");
  CHECK_THROWS_AS(schema_of_fields("total float"), UsageError);
  CHECK_THROWS_AS(schema_of_fields("a,,b"), UsageError);
}

TEST_CASE("a task of the user's own fills in its templates, and documents are not templates") {
  OwnTask own;
  own.kind = TaskKind::translate;
  own.system = "Translate to {{to}}{{#}}";
  CHECK(own_task_problem(own).find("system: line 1, column 20") == 0);
  own.system = "Translate <b> to {{ to }}. {{{instructions}}}";
  own.prompt = "First\n  {{txt}}";
  CHECK(own_task_problem(own).find("prompt: line 2, column 3: there is no {{txt}}") == 0);
  own.prompt = "No document, for want of context";
  CHECK(own_task_problem(own).find("{{text}}") != std::string::npos);
  own.prompt = "{{text";
  CHECK(own_task_problem(own).find("does not end") != std::string::npos);
  own.prompt = "Here it is:\n{{text}}\nThat was it.";
  CHECK(own_task_problem(own).empty());

  TaskParameters parameters;
  parameters.to = "German & French";
  parameters.instructions = "Be \"brief\".";
  BatchSpec spec = make_spec("letters", parameters, &own);
  CHECK(spec.task == "letters");
  CHECK(spec.system == "Translate <b> to German & French. Be \"brief\".");
  Model model;
  const ChatRequest request = request_for(spec, model, "a {{to}} & {{{text}}} <x>");
  CHECK(request.user == "Here it is:\na {{to}} & {{{text}}} <x>\nThat was it.");
  CHECK(parse_batch_spec(to_json_text(spec)) == spec);
  CHECK_THROWS_AS(make_spec("letters", TaskParameters(), &own), UsageError);  // needs --to
  CHECK_THROWS_AS(make_spec("letters", parameters), UsageError);
}
