// [worker] on_finish: each end of a batch is told, at least once.

#include <csignal>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

class HookTest : public MillTest {
 protected:
  HookTest() {
    simulate("");
    write_texts("docs.jsonl", 5);
  }
  void configure_hook(const std::string& on_finish) {
    configure("[worker]\n" + on_finish +
              "\n[providers.sim]\nbase_url = \"@URL@\"\n"
              "[models.m]\nprovider = \"sim\"\ninput = 1\noutput = 1\n");
  }
  // Appends "NAME STATE" for each run.
  std::string telling(const std::string& more = "") {
    write("tell.py",
          "import json, os, sys\n"
          "batch = json.load(sys.stdin)['batches'][0]\n"
          "line = os.environ['DOCMILL_BATCH'] + ' ' + batch['state'] + '\\n'\n"
          "open('" +
              (folder / "told").string() + "', 'a').write(line)\n" + more);
    return "on_finish = [\"python3\", \"" + (folder / "tell.py").string() + "\"]";
  }
  std::string told() const {
    return std::filesystem::exists(folder / "told") ? read(folder / "told") : "";
  }
};

}  // namespace

TEST_CASE_METHOD(HookTest, "on_finish runs once for each batch that ends", "[process]") {
  configure_hook("");
  REQUIRE(docmill("run summarise docs.jsonl --batch before -o out.jsonl").code == 0);
  configure_hook(telling());
  REQUIRE(docmill("run summarise docs.jsonl --fresh --batch one -o out.jsonl").code == 0);
  CHECK(told() == "one finished\n");
  Process worker = start("work");
  REQUIRE(docmill("submit summarise docs.jsonl --fresh --batch two").code == 0);
  CHECK(becomes_true(15'000, [&] { return told() == "one finished\ntwo finished\n"; }));
  // It goes on, and ends again.
  write_texts("more.jsonl", 6);
  REQUIRE(docmill("submit summarise more.jsonl --batch two").code == 0);
  CHECK(
      becomes_true(15'000, [&] { return told() == "one finished\ntwo finished\ntwo finished\n"; }));
  worker.send(SIGTERM);
  CHECK(worker.wait(10'000)->code == 0);
  CHECK(docmill("work --drain").code == 0);
  CHECK(told() == "one finished\ntwo finished\ntwo finished\n");
}

TEST_CASE_METHOD(HookTest, "on_finish that fails is logged, one that was killed runs again",
                 "[process]") {
  configure_hook(telling("sys.exit('no mail server')\n"));
  const Ran ran = docmill("run summarise docs.jsonl --batch one -o out.jsonl");
  CHECK(ran.code == 0);
  CHECK(ran.err.find("batch=one on_finish failed (exit 1): no mail server") != std::string::npos);
  configure_hook(telling("import signal\nsignal.pause()\n"));
  REQUIRE(docmill("submit summarise docs.jsonl --fresh --batch two").code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(15'000, [&] { return told() == "one finished\ntwo finished\n"; }));
  worker.kill();
  configure_hook(telling());
  CHECK(docmill("work --drain").code == 0);
  CHECK(told() == "one finished\ntwo finished\ntwo finished\n");
}

}  // namespace docmill::process_test
