// What comes out: result lines, files, reports, status. Scripts read them, so names, order and
// absent values are spelled out here.

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "base/money.h"
#include "simulate/answer.h"
#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

using nlohmann::json;
using namespace std::string_literals;
using Names = std::vector<std::string>;

constexpr const char* kPricedModel = R"toml(
[worker]
retry_base = "10ms"
[providers.sim]
base_url = "@URL@"
[models.only]
provider = "sim"
json = "schema"
input = 0.42
cached_input = 0.042
output = 0.84
)toml";

const PriceList kPriceOfResults = {{"only", {420'000, 42'000, 840'000}}};

Names keys_of(const std::string& json_line) {
  Names names;
  const auto object = nlohmann::ordered_json::parse(json_line);
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

std::string first_line(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

const Names kResultKeys = {"id",       "source",   "state",  "output", "model",    "finish_reason",
                           "route",    "fallback", "reused", "usage",  "cost_usd", "possible_usd",
                           "attempts", "extra",    "error"};

constexpr const char* kFigures =
    "jobs,done,failed,requests,retries,fallbacks,fallback_rate,input_tokens,cached_tokens,"
    "cache_write_tokens,output_tokens,reasoning_tokens,cost_usd,possible_usd,unpriced_requests,"
    "avg_cost_usd,p50_ms,p95_ms,p99_ms,avg_ms,tokens_per_s,effective_cost_usd,reused,saved_usd";

class OutputTest : public MillTest {
 protected:
  OutputTest() {
    simulate("--cached 0.25");
    configure(kPricedModel);
  }
  std::string system_of(const std::string& batch) {
    StoreView store(store_file);
    return json::parse(store.text("SELECT spec FROM batch WHERE name = '" + batch + "'"))
        .at("system")
        .get<std::string>();
  }
  // Two that can be read and two that cannot.
  void write_folder() const {
    write("docs/a.txt", "The first text is about the harbour.");
    write("docs/sub/b.md", "# The second\n\nIt is about the *mill*.");
    write("docs/empty.txt", "");
    write("docs/picture.bin", std::string("\x89PNG\0\0\0\rIHDR", 12));
  }
};

}  // namespace

TEST_CASE_METHOD(OutputTest, "run writes a file a document and fails what cannot be read for free",
                 "[process]") {
  write_folder();

  const Ran run = docmill("run summarise docs --out out");

  CHECK(run.code == 1);
  CHECK(run.out.empty());
  CHECK(sent_count() == 2);
  const std::string system = system_of("summarise-docs");
  CHECK(read(folder / "out/a.txt") ==
        simulated_answer(system, "The first text is about the harbour.") + "\n");
  CHECK(read(folder / "out/sub/b.md") ==
        simulated_answer(system, "# The second\n\nIt is about the *mill*.") + "\n");
  CHECK_FALSE(std::filesystem::exists(folder / "out/empty.txt"));
  CHECK_FALSE(std::filesystem::exists(folder / "out/picture.bin.md"));

  struct stat info {};
  REQUIRE(stat(store_file.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);

  // Nothing is new, so nothing is sent, and the files stay.
  const Ran again = docmill("run summarise docs --out out");
  CHECK(again.code == 1);
  CHECK(again.err.find("0 new, 0 changed, 4 unchanged") != std::string::npos);
  CHECK(sent_count() == 2);

  // A file of somebody else is not overwritten.
  write("other/a.txt", "mine");
  CHECK(docmill("results summarise-docs --out other").code == 2);
  CHECK(read(folder / "other/a.txt") == "mine");
  CHECK(docmill("results summarise-docs --out other --force").code == 0);
  CHECK(read(folder / "other/a.txt") == read(folder / "out/a.txt"));
}

TEST_CASE_METHOD(OutputTest, "result lines have the documented fields in the order of submission",
                 "[process]") {
  write_folder();
  CHECK(docmill("run summarise docs --batch b --out out").code == 1);

  const Ran results = docmill("results b");

  CHECK(results.code == 0);
  std::istringstream raw(results.out);
  for (std::string line; std::getline(raw, line);) CHECK(keys_of(line) == kResultKeys);
  const std::vector<json> lines = results.lines();
  REQUIRE(lines.size() == 4);
  Names ids;
  for (const json& line : lines) ids.push_back(line.at("id").get<std::string>());
  CHECK(ids == Names{"docs/a.txt", "docs/empty.txt", "docs/picture.bin", "docs/sub/b.md"});

  const json& done = lines[0];
  CHECK(done.at("source") == (folder / "docs/a.txt").string());
  CHECK(done.at("state") == "done");
  CHECK(done.at("model") == "only");
  CHECK(done.at("finish_reason") == "stop");
  CHECK(done.at("route") == "default");
  CHECK(done.at("fallback") == false);
  CHECK(done.at("reused") == false);
  CHECK(done.at("attempts") == 1);
  CHECK(done.at("possible_usd") == "0.00");
  CHECK(done.at("extra").is_null());
  CHECK(done.at("error").is_null());
  CHECK(keys_of(done.at("usage").dump()).size() == 5);
  const LogLine request = sent().front();
  CHECK(done.at("usage").at("input_tokens") == request.prompt_tokens);
  CHECK(done.at("usage").at("cached_tokens") == request.cached_tokens);
  CHECK(done.at("usage").at("output_tokens") == request.completion_tokens);
  CHECK(done.at("cost_usd") == exact_usd(billed_pusd(request, kPriceOfResults)));

  const json& unreadable = lines[2];
  CHECK(unreadable.at("state") == "failed");
  CHECK(unreadable.at("error").at("class") == "unreadable");
  CHECK_FALSE(unreadable.at("error").at("message").get<std::string>().empty());
  for (const char* name : {"output", "model", "finish_reason", "route", "usage", "extra"}) {
    CAPTURE(name);
    CHECK(unreadable.at(name).is_null());
  }
  CHECK(unreadable.at("attempts") == 0);
  CHECK(unreadable.at("cost_usd") == "0.00");

  CHECK(docmill("results b --failed").lines().size() == 2);
  CHECK(docmill("results b --id docs/a.txt").lines().at(0) == done);
  CHECK(docmill("results b --id docs/none.txt").code == 2);
  CHECK(docmill("results b -o results.jsonl").out.empty());
  CHECK(read(folder / "results.jsonl") == results.out);
}

TEST_CASE_METHOD(OutputTest, "records come back with what else stood in their line", "[process]") {
  input = write("in.jsonl",
                "{\"id\": \"x\", \"text\": \"One.\", \"page\": 7, \"tags\": [\"a\", null]}\n"
                "{\"id\": 42, \"text\": \"Two.\"}\n"
                "\n"
                "{\"id\": \"bad\", \"page\": 1}\n"
                "no json at all\n"
                "{\"id\": \"we/ird: name\", \"text\": \"Three.\"}\n");

  const Ran run = docmill("run summarise - --batch b");

  CHECK(run.code == 1);
  const std::vector<json> lines = run.lines();
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].at("extra") == json({{"page", 7}, {"tags", {"a", nullptr}}}));
  CHECK(lines[1].at("id") == "42");
  CHECK(lines[1].at("extra").is_null());
  CHECK(lines[2].at("error").at("class") == "unreadable");
  CHECK(lines[2].at("extra") == json({{"page", 1}}));
  CHECK(lines[3].at("id") == "stdin:5");
  CHECK(lines[4].at("output") == simulated_answer(system_of("b"), "Three."));
  input = "/dev/null";
  CHECK(docmill("results b --out out").code == 0);
  CHECK(std::filesystem::exists(folder / "out/x.md"));
  CHECK(std::filesystem::exists(folder / "out/we/ird%3A name.md"));
}

// "notes" once overwrote "notes.md", and the folder had one result less than were paid for.
TEST_CASE_METHOD(OutputTest, "no result overwrites another's file or leaves the folder",
                 "[process]") {
  const Names ids = {"notes", "notes.md", "a/b", "a//b", "../up", "/abs", "c.txt", "c.txt/d", ".."};
  std::string lines;
  for (const std::string& id : ids) lines += json({{"id", id}, {"text", "On " + id}}).dump() + "\n";
  write("odd.jsonl", lines);
  REQUIRE(docmill("run summarise odd.jsonl --batch b -o results.jsonl").code == 0);

  const Ran ran = docmill("results b --out deep/out");

  std::size_t files = 0;
  std::filesystem::create_directory(folder / "deep");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "deep")) {
    if (entry.is_regular_file()) ++files;
  }
  CAPTURE(ran.err, files);
  CHECK_FALSE(std::filesystem::exists(folder / "deep/up.md"));
  // Each has its own, or the user is told before anything is written.
  const bool each_has_its_own = ran.code == 0 && files == ids.size();
  const bool is_refused = ran.code == 2 && files == 0;
  CHECK((each_has_its_own || is_refused));
}

TEST_CASE_METHOD(OutputTest, "extract gives JSON values and translate the language's own prompt",
                 "[process]") {
  write("docs/a.txt", "Invoice 17, total 4 EUR.");
  write("docs/b.txt", "Invoice 18, total 5 EUR.");

  const Ran extract =
      docmill("run extract docs --batch e --fields 'number integer, total number, currency'");
  CHECK(extract.code == 0);
  for (const json& line : extract.lines()) {
    const json& output = line.at("output");
    REQUIRE(output.is_object());
    CHECK(output.size() == 3);
    CHECK(output.at("number").is_number_integer());
    CHECK(output.at("total").is_number());
    CHECK(output.at("currency").is_string());
  }
  CHECK(docmill("results e --out out").code == 0);
  CHECK(json::parse(read(folder / "out/a.txt.json")).contains("currency"));

  CHECK(docmill("run translate docs --to German").code == 0);
  StoreView store(store_file);
  CHECK(system_of("translate-german-docs").find("into German") != std::string::npos);
  CHECK(breaches_of_results(store, "translate-german-docs",
                            {{"docs/a.txt", "Invoice 17, total 4 EUR."},
                             {"docs/b.txt", "Invoice 18, total 5 EUR."}}) == Breaches());
}

TEST_CASE_METHOD(OutputTest, "reports and status have the documented columns and keys",
                 "[process]") {
  write_folder();
  docmill("run summarise docs --batch b --out out");
  const std::string figures = kFigures;

  CHECK(first_line(docmill("report b --format csv").out) == "batch," + figures);
  CHECK(first_line(docmill("report b --by model,day --format csv").out) == "model,day," + figures);
  CHECK(first_line(docmill("report b --by job --format csv").out) ==
        "batch,id,source,state,model," + figures);
  CHECK(first_line(docmill("report b --by attempt --format csv").out) ==
        "batch,id,attempt,opened_at,provider,model,model_returned,outcome,http_status,"
        "provider_request_id,ceiling_usd,cost_basis," +
            figures);
  const json report = docmill("report b --by model --format json").json();
  CHECK(report.at("rows").size() == 2);  // the model's, and "none" for what was never sent
  CHECK(report.at("totals").at("jobs") == 4);
  CHECK(report.at("totals").at("failed") == 2);
  CHECK(report.at("totals").at("cost_usd") == exact_usd(bill_pusd(sent(), kPriceOfResults)));
  CHECK(docmill("report b --by weather").code == 2);

  const std::string status_text = docmill("status --json b").out;
  CHECK(keys_of(status_text) == Names{"worker", "batches"});
  const auto batch = nlohmann::ordered_json::parse(status_text).at("batches").at(0);
  CHECK(keys_of(batch.dump()) == Names{"name", "task", "tenant", "state", "held_reason", "jobs",
                                       "cost", "max_cost_usd", "rate_per_minute", "eta_seconds",
                                       "bound_by", "waits", "created_at", "finished_at"});
  CHECK(keys_of(batch.at("jobs").dump()) ==
        Names{"total", "queued", "running", "done", "failed", "held", "cancelled"});
  CHECK(keys_of(batch.at("cost").dump()) ==
        Names{"measured_usd", "in_flight_usd", "possible_usd", "unpriced_requests"});
  CHECK(batch.at("state") == "finished");
}

TEST_CASE_METHOD(OutputTest, "stdout is data alone and -q leaves stderr empty", "[process]") {
  write("a.txt", "A text.");

  const Ran quiet = docmill("-q run summarise a.txt");
  CHECK(quiet.err.empty());
  CHECK(quiet.lines().size() == 1);
  const Ran submit = docmill("submit summarise a.txt --batch other");
  CHECK(submit.out == "other\n");
  const Ran dry = docmill("--store dry.db submit summarise a.txt --dry-run");
  CHECK(dry.code == 0);
  CHECK(dry.out.find("Nothing was queued or sent") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "dry.db"));
  CHECK(sent_count() == 1);
}

TEST_CASE_METHOD(OutputTest, "what is written into a pipe or through a link replaces neither",
                 "[process]") {
  simulate("");
  configure(kPricedModel);
  write_texts("docs.jsonl", 3);
  REQUIRE(docmill("run summarise docs.jsonl --batch b -o out.jsonl").code == 0);
  const std::string plain = read(folder / "out.jsonl");
  write("target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  CHECK(docmill("results b -o link").code == 0);
  CHECK(read(folder / "target") == plain);
  CHECK(std::filesystem::is_symlink(folder / "link"));
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const std::string& words : {"results b -o pipe"s, "report b --format html -o pipe"s}) {
    Command reader;
    reader.argv = {"/bin/cat", (folder / "pipe").string()};
    reader.cwd = folder;
    reader.out = folder / "read";
    std::filesystem::remove(folder / "read");
    Process cat(reader);
    CHECK(docmill(words).code == 0);
    REQUIRE(cat.wait(10'000));
    CHECK(read(folder / "read").size() > 100);
    CHECK(std::filesystem::is_fifo(folder / "pipe"));
  }
  CHECK(docmill("backup pipe").code == 2);
}

TEST_CASE_METHOD(OutputTest, "results --watch hands out each document once, as it ends",
                 "[process]") {
  write_texts("docs.jsonl", 40);
  REQUIRE(docmill("submit summarise docs.jsonl --batch w").code == 0);
  Process watch = start("results w --watch");
  REQUIRE(docmill("work --drain").code == 0);
  REQUIRE(becomes_true(10'000, [&] { return !watch.is_running(); }));
  CHECK(watch.wait(0)->code == 0);
  Ran all;
  all.out = out_of(watch);
  std::set<std::string> ids;
  for (const json& line : all.lines()) {
    CHECK(line.at("state") == "done");
    ids.insert(line.at("id").get<std::string>());
  }
  CHECK(all.lines().size() == 40);
  CHECK(ids.size() == 40);
  CHECK(docmill("results w --watch").lines().size() == 40);  // of what has ended long ago
  CHECK(docmill("results w --watch -o x.jsonl").code == 2);

  // Where a changed document failed, its old result stands here, too.
  write("docs.jsonl", R"({"id":"doc-changed","text":"One."})");
  REQUIRE(docmill("run summarise docs.jsonl --batch v -o x.jsonl").code == 0);
  write("docs.jsonl", R"({"id":"doc-changed","text":"Two."})");
  stop_simulating();
  simulate_again("--mix content_filter=1");
  CHECK(docmill("run summarise docs.jsonl --batch v -o x.jsonl").code == 1);
  const std::vector<json> old = docmill("results v --watch").lines();
  REQUIRE(old.size() == 1);
  CHECK(old[0].at("state") == "done");
}

}  // namespace docmill::process_test
