// How texts are kept: packed where it pays, and never another text than the one that was given.

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <random>

#include "base/sha256.h"
#include "store/packed.h"
#include "store/texts.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

namespace {

std::string prose(std::size_t bytes) {
  std::mt19937_64 random(7);
  std::string text;
  while (text.size() < bytes) text += "word" + std::to_string(random() % 500) + " ";
  text.resize(bytes);
  return text;
}

std::string noise(std::size_t bytes) {
  std::mt19937_64 random(8);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace

TEST_CASE("a text that packs comes back from its frame") {
  for (const std::size_t bytes : {256, 2048, 100'000, 3'000'000}) {
    INFO(bytes << " bytes");
    const std::string text = prose(bytes);
    const std::string frame = packed(text);
    CHECK_FALSE(frame.empty());
    CHECK(frame.size() <= bytes - bytes / 8);
    CHECK(unpacked(frame) == text);
  }
  const std::string with_nuls = prose(300) + std::string(300, '\0') + prose(300);
  CHECK(unpacked(packed(with_nuls)) == with_nuls);
}

TEST_CASE("a text that hardly packs stays as it is") {
  CHECK(packed("") == "");
  CHECK(packed(prose(255)) == "");
  CHECK(packed(noise(2048)) == "");
  CHECK(packed(std::string((64 << 20) + 1, 'x')) == "");
}

TEST_CASE("a frame that has changed is never taken for another text") {
  const std::string text = prose(700);
  const std::string frame = packed(text);
  for (std::size_t at = 0; at < frame.size(); ++at) {
    for (const int bit : {0, 3, 7}) {
      std::string changed = frame;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      INFO("byte " << at << ", bit " << bit);
      CHECK(unpacked(changed).value_or(text) == text);
    }
    CHECK_FALSE(unpacked(frame.substr(0, at)));
  }
  CHECK_FALSE(unpacked(frame + "x"));
}

TEST_CASE(
    "a frame that says it holds more than a document may is refused before that is allocated") {
  // Magic number; a window of 1 KiB and eight bytes of content size, which say 2^40.
  const std::string head("\x28\xB5\x2F\xFD\xC0\x00\x00\x00\x00\x00\x00\x01\x00\x00", 14);
  CHECK_FALSE(unpacked(head));
  CHECK_FALSE(unpacked(""));
  const std::string skippable("\x50\x2A\x4D\x18\x02\x00\x00\x00xx", 10);
  CHECK_FALSE(unpacked(skippable));
}

TEST_CASE("texts are kept once, packed or as they are, and older ones are read") {
  WorkerTest test;
  create_or_migrate(test.store);
  SqliteCommit commit;
  Database db(test.store, Access::read_write, commit);
  Texts texts(db);
  Transaction transaction(db);
  const auto keep = [&](const std::string& text, const std::optional<std::string>& frame) {
    return texts.keep(sha256_of_parts({text}), text, frame);
  };
  const auto is_kept_as = [&](std::int64_t id) {
    SQLite::Statement row(db.connection(), "SELECT typeof(body) FROM job_input WHERE id = ?");
    row.bind(1, id);
    REQUIRE(row.executeStep());
    return row.getColumn(0).getString();
  };
  const std::string text = prose(3000);
  const std::int64_t here = keep(text, std::nullopt);
  CHECK(is_kept_as(here) == "blob");
  CHECK(texts.text(here) == text);
  CHECK(keep(text, packed(text)) == here);

  const std::string other = prose(2000);
  const std::int64_t packed_before = keep(other, packed(other));
  CHECK(is_kept_as(packed_before) == "blob");
  CHECK(texts.text(packed_before) == other);

  const std::string older = prose(1000);
  const std::int64_t as_it_was = keep(older, "");  // as all were before schema 10
  CHECK(is_kept_as(as_it_was) == "text");
  CHECK(texts.text(as_it_was) == older);
  CHECK(keep(older, std::nullopt) == as_it_was);

  db.connection().exec("UPDATE job_input SET body = x'28B52FFD00' WHERE typeof(body) = 'blob'");
  CHECK_FALSE(texts.text(here));
  db.connection().exec(
      "UPDATE job_input SET body = CAST(x'41FF' AS TEXT) WHERE typeof(body) = 'text'");
  CHECK_FALSE(texts.text(as_it_was));
  transaction.commit();
}
