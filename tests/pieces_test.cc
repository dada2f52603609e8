// Long documents: cut into jobs of their own, put together, once each, whatever dies between.

#include <nlohmann/json.hpp>

#include "base/money.h"
#include "report/cost_report.h"
#include "report/results.h"
#include "store/reader.h"
#include "store/report_reader.h"
#include "tasks/new_job.h"
#include "tasks/task.h"
#include "tests/catch.h"
#include "tests/world.h"

namespace docmill {
namespace {

using nlohmann::json;

TaskParameters german() {
  TaskParameters parameters;
  parameters.to = "de";
  return parameters;
}

TaskParameters by_schema() {
  TaskParameters parameters;
  parameters.schema_text = R"({"type":"object"})";
  return parameters;
}

class PiecesTest : public WorkerTest {
 protected:
  PiecesTest() {
    chain = {"small"};
    for (auto& [key, model] : models) {
      model.context_tokens = 3000;
      model.max_output_tokens = 200;
    }
  }

  // So many paragraphs, each another.
  static std::string book(int paragraphs) {
    std::string text;
    for (int i = 1; i <= paragraphs; ++i) {
      text += (i > 1 ? "\n\n" : "") + ("Paragraph " + std::to_string(i) + " says ");
      for (int word = 0; word < 30; ++word) {
        text += "word " + std::to_string(i) + "." + std::to_string(word) + ", ";
      }
      text += "and ends.";
    }
    return text;
  }

  void submit_as(const std::string& kind, const TaskParameters& parameters,
                 const std::vector<std::pair<std::string, std::string>>& documents,
                 const std::string& name = "b") {
    SqliteCommit commit;
    create_or_migrate(store);
    Database db(store, Access::read_write, commit);
    JobQueue queue(db, clock, options.policy);
    BatchSpec spec = make_spec(kind, parameters);
    spec.routes = {{"default", chain}};
    spec.brake = brake;
    Batch wanted;
    wanted.name = name;
    wanted.task = kind;
    wanted.tenant = "default";
    wanted.spec = to_json_text(spec);
    wanted.cap_pusd = cap_pusd;
    const Batch batch = queue.open_batch_in_transaction(wanted);
    std::vector<NewJob> jobs;
    for (const auto& [id, text] : documents) {
      Document document;
      document.id = id;
      document.source = "test";
      document.text = text;
      jobs.push_back(new_job(std::move(document), 0, 0));
    }
    queue.add_in_transaction(batch.id, jobs);
    queue.seal_in_transaction(batch.id);
  }

  std::int64_t number(const std::string& sql) {
    SqliteCommit commit;
    Database db(store, Access::read_only, commit);
    Statement statement(db, sql.c_str());
    Cursor row = statement.run();
    return row.next() ? row.integer(0) : -1;
  }
  // Texts that were sent, each how often.
  std::map<std::string, int> sent_texts() const {
    std::map<std::string, int> texts;
    for (const auto& sent : net.sent) ++texts[sent.text];
    return texts;
  }
};

}  // namespace

TEST_CASE_METHOD(PiecesTest, "a long translation is cut, and its pieces come back in order",
                 "[pieces]") {
  const std::string text = book(20);
  submit_as("translate", german(), {{"long", text}, {"short", "Hello."}});
  run_until_idle();
  CHECK(state("long") == "done");
  CHECK(state("short") == "done");
  CHECK(net.sent.size() > 5);
  for (const auto& [sent, times] : sent_texts()) CHECK(times == 1);
  // The scripted answer is "answer to TEXT"; the gaps between paragraphs are the document's own.
  const std::string out = output("long");
  std::size_t at = 0;
  for (int i = 1; i <= 20; ++i) {
    const std::size_t found = out.find("Paragraph " + std::to_string(i) + " says", at);
    REQUIRE(found != std::string::npos);
    at = found;
  }
  CHECK(counts().total() == 2);
  CHECK(counts().done == 2);
  CHECK(batch().finished_at_ms.has_value());
  CHECK(broken_invariant() == "");
}

TEST_CASE_METHOD(PiecesTest, "a translation that lost a link is mended once, and kept if it is not",
                 "[pieces]") {
  const std::string text = "See [it](https://a.example).";
  const auto says = [&](const std::string& answer) {
    net.set_body("small", R"({"model":"small","choices":[{"finish_reason":"stop","message":{)"
                          R"("content":")" +
                              answer +
                              R"("}}],"usage":{"prompt_tokens":5,)"
                              R"("completion_tokens":5}})");
  };
  says("Sieh es.");
  submit_as("translate", german(), {{"bad", text}});
  run_until_idle();
  REQUIRE(net.sent.size() == 2);
  CHECK(net.bodies[0].find("links: 1 in the text") == std::string::npos);
  CHECK(net.bodies[1].find("links: 1 in the text, 0 in the answer") != std::string::npos);
  CHECK(state("bad") == "done");
  CHECK(output("bad") == "Sieh es.");
  CHECK(number("SELECT count(*) FROM job WHERE state = 'done' AND error_message = "
               "'links: 1 in the text, 0 in the answer'") == 1);
  CHECK(number("SELECT sum(outcome = 'changed_structure') FROM attempt") == 2);
  CHECK(broken_invariant() == "");
  says("Sieh [es](https://a.example).");
  submit_as("translate", german(), {{"good", text + " "}}, "c");
  run_until_idle();
  CHECK(net.sent.size() == 3);
  CHECK(number("SELECT count(*) FROM job WHERE error_class IS NULL") == 1);
}

TEST_CASE_METHOD(PiecesTest, "a translation in pieces says what all of them lost", "[pieces]") {
  net.set_body("small", R"({"model":"small","choices":[{"finish_reason":"stop","message":{)"
                        R"("content":"Etwas."}}],"usage":{"prompt_tokens":5,)"
                        R"("completion_tokens":5}})");
  submit_as("translate", german(), {{"long", book(20) + "\n\n## See [it](https://a.example)"}});
  run_until_idle();
  CHECK(state("long") == "done");
  CHECK(number("SELECT count(*) FROM job WHERE parent_id IS NULL AND error_message = "
               "'headings: 1 in the text, 0 in the answer; links: 1 in the text, 0 in the answer'"
               " AND error_class = 'changed_structure'") == 1);
}

TEST_CASE_METHOD(PiecesTest, "summaries of pieces are combined, over several levels", "[pieces]") {
  models["small"].context_tokens = 900;
  net.set_body("small", R"({"model":"small","choices":[{"finish_reason":"stop","message":{)"
                        R"("content":"A summary of forty words or so, which stands for a part of )"
                        R"(the whole, and says again what that part has said, only shorter."}}],)"
                        R"("usage":{"prompt_tokens":5,"completion_tokens":5}})");
  submit_as("summarise", {}, {{"book", book(200)}});
  run_until_idle();
  CHECK(state("book") == "done");
  CHECK(output("book").find("A summary of forty words") == 0);
  CHECK(number("SELECT max(piece_level) FROM job") >= 2);
  CHECK(number("SELECT level FROM job WHERE parent_id IS NULL") >= 2);
  CHECK(counts().total() == 1);
  // One line in a report, with the cost of all.
  SqliteCommit commit;
  Database db(store, Access::read_only, commit);
  StoreReader reader(db);
  int documents = 0;
  std::int64_t cost_pusd = 0;
  ReportReader(db).each_document(batch().id,
                                 [&](const JobRow& job, const std::vector<AttemptRow>& attempts) {
                                   ++documents;
                                   CHECK(job.item_key == "book");
                                   CHECK(job.model == "small");
                                   CHECK(attempts.size() == net.sent.size());
                                   for (const AttemptRow& attempt : attempts)
                                     cost_pusd += attempt.cost_pusd.value_or(0);
                                 });
  CHECK(documents == 1);
  CHECK(report_disagreement(store).empty());
  CHECK(cost_pusd == batch().spent_pusd);
  int results = 0;
  reader.each_result(batch().id, "", [&](const ResultRow& row) {
    ++results;
    CHECK(row.cost_pusd == cost_pusd);
    CHECK(row.attempts == static_cast<std::int64_t>(net.sent.size()));
  });
  CHECK(results == 1);
}

TEST_CASE_METHOD(PiecesTest, "extractions from pieces are merged", "[pieces]") {
  models["small"].context_tokens = 5200;
  net.set_body("small", R"({"model":"small","choices":[{"finish_reason":"stop","message":{)"
                        R"("content":"{\"title\":null,\"people\":[\"Ann\"]}"}}],)"
                        R"("usage":{"prompt_tokens":5,"completion_tokens":5}})");
  std::string text;
  for (int i = 1; i < 3000; ++i) text += "Sentence " + std::to_string(i) + " of many. ";
  submit_as("extract", by_schema(), {{"long", text}});
  run_until_idle();
  CHECK(state("long") == "done");
  CHECK(net.sent.size() > 2);
  CHECK(json::parse(output("long")) == json{{"title", nullptr}, {"people", {"Ann"}}});
  SqliteCommit commit;
  Database db(store, Access::read_only, commit);
  StoreReader reader(db);
  reader.each_result(batch().id, "long", [&](const ResultRow& row) {
    CHECK(row.is_cut);
    const auto pieces = reader.result_pieces(row.id);
    REQUIRE(pieces.size() == net.sent.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto begin = static_cast<std::size_t>(pieces[i].begin);
      const auto end = static_cast<std::size_t>(pieces[i].end);
      CHECK(net.bodies[i].find(json(text.substr(begin, end - begin)).dump()) != std::string::npos);
      if (i > 0) CHECK(pieces[i].begin < pieces[i - 1].end);  // they overlap
    }
    const json line = json::parse(result_line(row, true, pieces));
    CHECK(line.at("pieces").size() == pieces.size());
    CHECK(line.at("pieces")[0].at("begin") == 0);
    CHECK(line.at("pieces")[0].at("output").at("people") == json{"Ann"});
  });

  BatchSpec spec = make_spec("extract", by_schema());
  Piece one, two;
  one.output = R"({"title":"T","people":["Ann"],"n":null,"deep":{"a":[1]}})";
  two.output = R"({"title":"U","people":["Bob","Ann"],"n":3,"deep":{"a":[2],"b":1}})";
  CHECK(json::parse(*joined(spec, {one, two})) == json{{"title", "T"},
                                                       {"people", {"Ann", "Bob"}},
                                                       {"n", 3},
                                                       {"deep", {{"a", {1, 2}}, {"b", 1}}}});
}

TEST_CASE_METHOD(PiecesTest, "killed anywhere, no piece is paid for twice beyond the unknown ones",
                 "[pieces]") {
  submit_as("translate", german(), {{"long", book(30)}});
  options.in_flight = 3;
  int deaths = 0;
  for (int nth = 1; nth < 200; nth += 3) {
    SqliteCommit commit;
    net.dies_after_sends = nth % 5 + 1;
    if (!live_until_death(commit)) break;
    ++deaths;
  }
  net.dies_after_sends = -1;
  run_until_idle();
  CHECK(deaths > 3);
  CHECK(state("long") == "done");
  const std::int64_t unknown = number("SELECT count(*) FROM attempt WHERE cost_basis = 'unknown'");
  int repeats = 0;
  for (const auto& [sent, times] : sent_texts()) repeats += times - 1;
  CHECK(repeats <= unknown);
  CHECK(number("SELECT count(*) FROM job WHERE state NOT IN ('done')") == 0);
  CHECK(broken_invariant().empty());
}

TEST_CASE_METHOD(PiecesTest, "a piece that fails fails its document; retry sends what is not done",
                 "[pieces]") {
  options.in_flight = 1;
  brake = "off";
  net.script("small", {200, 200, 400, 200});
  submit_as("translate", german(), {{"long", book(30)}});
  run_until_idle();
  CHECK(state("long") == "failed");
  CHECK(net.sent.size() == 3);  // what had not begun was cancelled
  CHECK(batch().finished_at_ms.has_value());
  CHECK(counts().failed == 1);
  {
    SqliteCommit commit;
    Database db(store, Access::read_only, commit);
    StoreReader reader(db);
    reader.each_result(batch().id, "", [&](const ResultRow& row) {
      CHECK(row.error_class == "bad_request");
      CHECK(row.error_message.find("piece 3: ") == 0);
    });
  }
  {
    SqliteCommit commit;
    Database db(store, Access::read_write, commit);
    JobQueue queue(db, clock, options.policy);
    CHECK(queue.retry(batch().id, "long", "", std::nullopt) == 1);
  }
  run_until_idle();
  CHECK(state("long") == "done");
  for (const auto& [sent, times] : sent_texts()) CHECK(times <= 2);
  CHECK(sent_texts()[net.sent[0].text] == 1);
  CHECK(sent_texts()[net.sent[1].text] == 1);
  CHECK(sent_texts()[net.sent[2].text] == 2);
  CHECK(broken_invariant().empty());
}

TEST_CASE_METHOD(PiecesTest, "a document that changes meanwhile is cut anew, and may go back",
                 "[pieces]") {
  options.in_flight = 1;
  submit_as("translate", german(), {{"long", book(30)}});
  {
    SqliteCommit commit;
    net.dies_after_sends = 4;
    live_until_death(commit);
    net.dies_after_sends = -1;
  }
  submit_as("translate", german(), {{"long", book(12)}});
  run_until_idle();
  CHECK(state("long") == "done");
  CHECK(output("long").find("Paragraph 12 says") != std::string::npos);
  CHECK(output("long").find("Paragraph 13 says") == std::string::npos);
  submit_as("translate", german(), {{"long", book(30)}});
  run_until_idle();
  CHECK(state("long") == "done");
  CHECK(output("long").find("Paragraph 30 says") != std::string::npos);
  CHECK(counts().total() == 1);
  CHECK(number("SELECT count(*) FROM job WHERE state IN ('ready', 'waiting', 'blocked')") == 0);
}

TEST_CASE_METHOD(PiecesTest, "pieces are held by the batch's cap like any job", "[pieces]") {
  cap_pusd = 1'300;
  submit_as("translate", german(), {{"long", book(60)}});
  run_until_idle();
  CHECK(batch().held_reason.has_value());
  CHECK(batch().spent_pusd + batch().reserved_pusd <= *cap_pusd);
  CHECK(counts().queued() == 1);
  const std::size_t before = net.sent.size();
  CHECK(before > 0);
  {
    SqliteCommit commit;
    Database db(store, Access::read_write, commit);
    JobQueue queue(db, clock, options.policy);
    queue.resume_in_transaction(batch().id, 100'000'000);
  }
  run_until_idle();
  CHECK(state("long") == "done");
  for (const auto& [sent, times] : sent_texts()) CHECK(times == 1);
}

TEST_CASE_METHOD(PiecesTest, "an answer that is cut off even with more room splits its text",
                 "[pieces]") {
  models["small"].context_tokens = 100'000;
  models["small"].max_output_tokens = 4000;
  net.set_body("small",
               R"({"model":"small","choices":[{"finish_reason":"length","message":{)"
               R"("content":"half"}}],"usage":{"prompt_tokens":5,"completion_tokens":5}})");
  submit_as("translate", german(), {{"long", book(4)}});
  run_until_idle();
  // Here none ever ends: it is cut until there is nothing to cut, and comes to an end.
  CHECK(state("long") == "failed");
  CHECK(number("SELECT count(*) FROM job WHERE parent_id IS NOT NULL") >= 2);
  CHECK(number("SELECT count(*) FROM job WHERE parent_id IS NULL AND error_class = 'truncated'") ==
        1);
  CHECK(net.sent.size() < 30);
}

TEST_CASE_METHOD(PiecesTest, "a larger model further on is asked before anything is cut",
                 "[pieces]") {
  chain = {"small", "large"};
  models["large"].context_tokens = 1'000'000;
  models["large"].max_output_tokens = 100'000;
  submit_as("translate", german(), {{"long", book(30)}});
  run_until_idle();
  CHECK(state("long") == "done");
  CHECK(net.sent.size() == 1);
  CHECK(net.sent[0].model == "large");
}

}  // namespace docmill
