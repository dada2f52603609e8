// What docmill's submit is held against: the same rows into the same tables and pages, a thousand a
// commit, FULL, and nothing read, hashed or counted.
//
//   bare_insert STORE ROWS    (a store that docmill made; its last batch gets the rows)

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

namespace {

constexpr int kRowsACommit = 1000;
constexpr std::size_t kTextBytes = 2048;

sqlite3* db = nullptr;

void must(int result) {
  if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW) return;
  std::fprintf(stderr, "bare_insert: %s\n", sqlite3_errmsg(db));
  std::exit(1);
}

void run(const char* sql) {
  must(sqlite3_exec(db, sql, nullptr, nullptr, nullptr));
}

sqlite3_stmt* prepared(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  must(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr));
  return statement;
}

std::string text_of(int number) {
  std::string text = "Document " + std::to_string(number) + ".";
  while (text.size() < kTextBytes) text += " The quick brown fox jumps over the lazy dog.";
  text.resize(kTextBytes);
  return text;
}

void bind(sqlite3_stmt* statement, int index, const std::string& text) {
  must(sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()),
                         SQLITE_STATIC));
}

void bind(sqlite3_stmt* statement, int index, const std::uint64_t (&hash)[4]) {
  must(sqlite3_bind_blob(statement, index, hash, sizeof hash, SQLITE_STATIC));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int rows = std::atoi(argv[2]);
  must(sqlite3_open(argv[1], &db));
  run("PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; PRAGMA foreign_keys = ON");
  sqlite3_stmt* input = prepared("INSERT INTO job_input (hash, body) VALUES (?1, ?2)");
  sqlite3_stmt* job = prepared(R"sql(
      INSERT INTO job (batch_id, item_key, content_hash, source, input_id, text_bytes, priority,
                       route, position, state, request_hash, created_at)
      VALUES ((SELECT max(id) FROM batch), ?1, ?2, ?3, ?4, ?5, 0, 0, 0, 'ready', ?6, ?7))sql");
  std::mt19937_64 random(1);
  const auto began = std::chrono::steady_clock::now();
  for (int row = 0; row < rows; ++row) {
    if (row % kRowsACommit == 0) run("BEGIN IMMEDIATE");
    const std::uint64_t content[4] = {random(), random(), random(), random()};
    const std::uint64_t request[4] = {random(), random(), random(), random()};
    const std::string text = text_of(row);
    const std::string key = "row-" + std::to_string(row);
    const std::string source = "docs.jsonl:" + std::to_string(row + 1);
    bind(input, 1, content);
    bind(input, 2, text);
    must(sqlite3_step(input));
    must(sqlite3_reset(input));
    bind(job, 1, key);
    bind(job, 2, content);
    bind(job, 3, source);
    must(sqlite3_bind_int64(job, 4, sqlite3_last_insert_rowid(db)));
    must(sqlite3_bind_int64(job, 5, static_cast<sqlite3_int64>(text.size())));
    bind(job, 6, request);
    must(sqlite3_bind_int64(job, 7, 1'700'000'000'000));
    must(sqlite3_step(job));
    must(sqlite3_reset(job));
    if ((row + 1) % kRowsACommit == 0 || row + 1 == rows) run("COMMIT");
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("{\"seconds\": %.6f}\n", took.count());
  return 0;
}
