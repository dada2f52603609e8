# Writes migrations.gen.cc: every migrations/NNNN_*.sql, in order, as a string of the program.
# Run as: cmake -DSQL_FILES=a.sql;b.sql -DOUTPUT=file -P embed_migrations.cmake
list(SORT SQL_FILES)
set(body "#include \"store/migrations.h\"\n\nnamespace docmill {\nnamespace {\n")
set(names "")
set(number 0)
foreach(file IN LISTS SQL_FILES)
  math(EXPR number "${number} + 1")
  file(READ "${file}" sql)
  string(APPEND body "constexpr const char kMigration${number}[] = R\"sql(\n${sql})sql\";\n")
  string(APPEND names "kMigration${number}, ")
endforeach()
string(APPEND body "constexpr const char* kMigrations[] = {${names}};\n}  // namespace\n\n"
  "std::span<const char* const> migration_texts() { return kMigrations; }\n\n"
  "}  // namespace docmill\n")
file(WRITE "${OUTPUT}" "${body}")
