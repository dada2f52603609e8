// Stores of every schema that was ever used, made by the programs of their time
// (tests/fixtures/schema-N.db), are opened, brought up to date, and worked on.

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include "base/errors.h"
#include "store/migrations.h"
#include "tests/catch.h"
#include "tests/fault_disk.h"
#include "tests/world.h"

using namespace docmill;
namespace fs = std::filesystem;

namespace {

fs::path fixture(int schema) {
  return fs::path(DOCMILL_SOURCE_DIR) / "tests" / "fixtures" / fmt::format("schema-{}.db", schema);
}

int newest() {
  return static_cast<int>(migration_texts().size());
}

std::string text(const fs::path& file, const std::string& sql) {
  SQLite::Database db(file.string(), SQLite::OPEN_READONLY);
  return db.execAndGet(sql).getString();
}

// What a store must say of itself before and after: documents, results, money.
std::string contents(const fs::path& file) {
  return text(file, R"sql(
      SELECT (SELECT group_concat(item_key || ' ' || state, ',') FROM job) || ' ' ||
             (SELECT group_concat(job_id || body, ',') FROM job_output) || ' ' ||
             (SELECT group_concat(id || cost_basis || coalesce(cost_pusd, ''), ',') FROM attempt)
             || ' ' || (SELECT group_concat(spent_pusd || ' ' || reserved_pusd, ',') FROM batch)
      )sql");
}

}  // namespace

TEST_CASE("each older schema has a fixture") {
  for (int schema = 1; schema < newest(); ++schema) {
    INFO("schema " << schema);
    CHECK(text(fixture(schema), "PRAGMA user_version") == std::to_string(schema));
  }
}

TEST_CASE("an older store keeps all that it had, and a copy from before") {
  for (int schema = 1; schema < newest(); ++schema) {
    INFO("schema " << schema);
    WorkerTest test;
    test.store = test.scratch.path / "old.db";
    fs::copy_file(fixture(schema), test.store);
    const std::string before = contents(test.store);

    create_or_migrate(test.store);

    CHECK(text(test.store, "PRAGMA user_version") == std::to_string(newest()));
    CHECK(text(test.store, "PRAGMA integrity_check") == "ok");
    CHECK(text(test.store,
               R"sql(SELECT group_concat("from") FROM pragma_foreign_key_list('attempt'))sql") ==
          "worker_id,batch_id");
    CHECK(contents(test.store) == before);
    const fs::path copy = fmt::format("{}.schema-{}", test.store.string(), schema);
    CHECK(text(copy, "PRAGMA user_version") == std::to_string(schema));
    CHECK(contents(copy) == before);

    // What waited goes on.
    test.models["m"] = test.models["small"];
    test.models["m"].key = test.models["m"].name = "m";
    test.run_until_idle();
    CHECK(test.state("w1", "waiting") == "done");
  }
}

TEST_CASE("a migration that is cut off anywhere is made again") {
  for (int schema = 1; schema < newest(); ++schema) {
    int cuts = 0;
    for (int nth = 1; nth < 500; nth += 3) {
      INFO("schema " << schema << ", operation " << nth);
      const Scratch scratch("/dev/shm");
      FaultDisk disk;
      const fs::path store = scratch.path / "old.db";
      fs::copy_file(fixture(schema), store);
      const std::string before = contents(store);
      fs::create_directory(scratch.path / "after");
      disk.cut_power_at(nth, static_cast<std::uint64_t>(nth), scratch.path / "after");
      try {
        create_or_migrate(store);
      } catch (const SQLite::Exception&) {
      } catch (const WorldError&) {
      }
      const bool was_cut = disk.is_cut();
      disk.heal();
      if (!was_cut) break;
      ++cuts;
      const fs::path found = scratch.path / "after" / "old.db";
      create_or_migrate(found);
      CHECK(contents(found) == before);
      CHECK(text(found, "PRAGMA user_version") == std::to_string(newest()));
      CHECK(text(found, "PRAGMA integrity_check") == "ok");
    }
    CHECK(cuts > 10);
  }
}

TEST_CASE("prices of schema 3 and who was billed by them stay") {
  const Scratch scratch;
  const fs::path store = scratch.path / "old.db";
  fs::copy_file(fixture(3), store);
  const std::string before = text(store, R"sql(
      SELECT group_concat(id || ' ' || input_pusd || ' ' || output_pusd || ' ' ||
                          coalesce(flex_input_pusd, '-'), ',') FROM price)sql");
  const std::string billed = text(store, "SELECT group_concat(price_id, ',') FROM attempt");
  create_or_migrate(store);
  CHECK(before == text(store, R"sql(
      SELECT group_concat(p.id || ' ' || p.input_pusd || ' ' || p.output_pusd || ' ' ||
                          coalesce(v.input_pusd, '-'), ',')
      FROM price p LEFT JOIN price_variant v ON v.price_id = p.id AND service_tier = 'flex')sql"));
  CHECK(billed == text(store, "SELECT group_concat(price_id, ',') FROM attempt"));
  CHECK(text(store, "SELECT count(*) FROM pragma_foreign_key_check") == "0");
}
