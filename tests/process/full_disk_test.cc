// A disk that fills and is emptied again: a tmpfs of 64 MB, which needs root.

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>

#include <cstring>

#include "tests/process/books.h"

namespace docmill::process_test {
namespace {

namespace fs = std::filesystem;

class FullDiskTest : public MillTest {
 protected:
  FullDiskTest() {
    fs::create_directory(disk);
    is_mounted = mount("docmill-test", disk.c_str(), "tmpfs", 0, "size=64m,mode=0700") == 0;
  }
  ~FullDiskTest() {
    if (is_mounted) umount2(disk.c_str(), MNT_DETACH);
  }
  // All but `spare` bytes of it.
  void fill(std::uintmax_t spare) const {
    const std::uintmax_t available = fs::space(disk).available;
    if (available > spare) write("disk/filler", std::string(available - spare, 'f'));
  }
  void empty() const { fs::remove(disk / "filler"); }
  nlohmann::json batch() {
    return docmill("--store disk/s.db status --json b").json().at("batches").at(0);
  }

  const fs::path disk = folder / "disk";
  bool is_mounted = false;
};

const PriceList kPrices = {{"m", {420'000, 420'000, 840'000}}};

}  // namespace

TEST_CASE_METHOD(FullDiskTest,
                 "a disk that fills stops the starting; with room it goes on by itself",
                 "[process]") {
  if (!is_mounted) {
    WARN("not tested: no tmpfs can be mounted here: " << std::strerror(errno));
    return;
  }
  simulate("--latency 30ms");
  configure(R"toml(
[providers.sim]
base_url = "@URL@"
[models.m]
provider = "sim"
input = 0.42
output = 0.84
)toml");
  const std::vector<Text> texts = write_texts("docs.jsonl", 3000);
  REQUIRE(docmill("--store disk/s.db submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("--store disk/s.db work");
  // Full to the last byte, almost full, and in between.
  for (const std::uintmax_t spare : {0, 300'000, 4'000'000, 0}) {
    const std::size_t before = sent_count();
    REQUIRE(becomes_true(20'000, [&] { return sent_count() > before + 100; }));
    fill(spare);
    std::size_t last = 0;
    REQUIRE(becomes_true(20'000, [&] {  // nothing more leaves
      const std::size_t now = sent_count();
      worker.wait(700);
      return now == std::exchange(last, sent_count()) && now == last;
    }));
    CHECK(worker.is_running());
    CHECK(batch().at("bound_by").get<std::string>().starts_with("the disk"));
    empty();
  }
  REQUIRE(becomes_true(60'000, [&] { return batch().at("state") == "finished"; }));
  worker.send(SIGTERM);
  REQUIRE(worker.wait(20'000));
  const std::vector<LogLine> log = sent();
  StoreView store(disk / "s.db");
  CHECK(store.text("PRAGMA integrity_check") == "ok");
  CHECK(breaches_of_results(store, "b", texts) == Breaches());
  CHECK(breaches_of_ledger(store, log) == Breaches());
  CHECK(breaches_of_money(store, log, kPrices) == Breaches());
  CHECK(log.size() == 3000);  // nothing in flight was lost, so nothing was asked twice
}

// It once waited for room for ever, past every patience of a service manager.
TEST_CASE_METHOD(FullDiskTest, "a stop on a full disk ends at its timeout, and says why",
                 "[process]") {
  if (!is_mounted) {
    WARN("not tested: no tmpfs can be mounted here: " << std::strerror(errno));
    return;
  }
  simulate("--latency 1s");
  configure(R"toml(
[worker]
stop_timeout = "2s"
[providers.sim]
base_url = "@URL@"
in_flight = 16
[models.m]
provider = "sim"
)toml");
  write_texts("docs.jsonl", 200);
  REQUIRE(docmill("--store disk/s.db submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("--store disk/s.db work");
  REQUIRE(becomes_true(20'000, [&] { return sent_count() >= 16; }));
  fill(0);
  REQUIRE(becomes_true(
      20'000, [&] { return err_of(worker).find("the disk is full") != std::string::npos; }));
  const nlohmann::json full = batch();
  CHECK(full.at("bound_by") == "the disk is full");
  REQUIRE(full.at("waits").size() == 1);
  CHECK(full.at("waits").at(0).at("next_step").get<std::string>().find("make room") == 0);
  worker.send(SIGTERM);
  const std::optional<Exit> exit = worker.wait(30'000);
  REQUIRE(exit);
  // 0: what it had kept fitted into the room at the WAL's end after all.
  CHECK((exit->code == 3 || exit->code == 0));

  empty();
  CHECK(docmill("--store disk/s.db work --drain").code == 0);
  StoreView store(disk / "s.db");
  CHECK(store.number("SELECT count(*) FROM job WHERE state = 'done'") == 200);
}

TEST_CASE_METHOD(MillTest, "a store that cannot be used is refused with the reason", "[process]") {
  simulate("");
  configure("[providers.sim]\nbase_url = \"@URL@\"\n[models.m]\nprovider = \"sim\"\n");
  write_texts("docs.jsonl", 3);
  const auto refused = [&](const std::string& store, const std::string& why) {
    const Ran ran = docmill("--store " + store + " submit summarise docs.jsonl --batch b");
    CAPTURE(store, ran.err);
    CHECK(ran.code >= 2);
    CHECK(ran.err.find(why) != std::string::npos);
  };
  refused("missing/s.db", "folder is not there");
  refused("/proc/s.db", "/proc/s.db");
  write("text.db", "not a store at all, and long enough to be looked at as one, with a header");
  refused("text.db", "no docmill store");
  refused("docs.jsonl/s.db", "docs.jsonl");
}

}  // namespace docmill::process_test
