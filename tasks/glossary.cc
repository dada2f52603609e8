#include "tasks/glossary.h"

#include <csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/check.h"
#include "base/errors.h"
#include "base/text.h"
#include "documents/decode.h"

namespace docmill {
namespace {

using GlossaryRow = std::vector<std::string>;

// What libcsv calls back; no exception may pass through it.
struct GlossaryRows {
  std::vector<GlossaryRow> rows;
  GlossaryRow row;
};

void take_term(void* cell, std::size_t size, void* rows) {
  auto& taken = *static_cast<GlossaryRows*>(rows);
  taken.row.emplace_back(trimmed({static_cast<const char*>(cell), size}));
}

void take_terms(int, void* rows) {
  auto& taken = *static_cast<GlossaryRows*>(rows);
  taken.rows.push_back(std::move(taken.row));
  taken.row.clear();
}

// A row a line, empty ones, too, so that lines can be named.
std::vector<GlossaryRow> rows_of(std::string text) {
  std::erase(text, '\r');
  csv_parser parser;
  CHECK(csv_init(&parser, CSV_APPEND_NULL | CSV_REPALL_NL) == 0);
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string_view first = std::string_view(text).substr(0, line_end);
  for (const char separator : {'\t', ';'}) {
    if (first.find(separator) == std::string_view::npos) continue;
    csv_set_delim(&parser, static_cast<unsigned char>(separator));
    break;
  }
  GlossaryRows taken;
  const std::size_t parsed =
      csv_parse(&parser, text.data(), text.size(), take_term, take_terms, &taken);
  const int error = csv_error(&parser);
  csv_fini(&parser, take_term, take_terms, &taken);
  csv_free(&parser);
  if (parsed != text.size()) {
    throw UsageError(fmt::format("--glossary: it is no CSV: {}", csv_strerror(error)));
  }
  return taken.rows;
}

bool names_columns(const GlossaryRow& row) {
  const std::string first = lower_ascii(row[0]);
  return first == "source" || first == "term";
}

}  // namespace

std::string glossary_prompt(std::string file) {
  Decoded decoded = decode_text(std::move(file), "");
  if (!decoded.error.empty()) throw UsageError("--glossary: " + decoded.error);
  std::string lines;
  std::map<std::string, std::string> known;
  std::size_t number = 0;
  for (const GlossaryRow& row : rows_of(std::move(decoded.text))) {
    ++number;
    if (row.empty() || (row.size() == 1 && row[0].empty())) continue;
    if (number == 1 && names_columns(row)) continue;
    if (row.size() < 2 || row[0].empty() || row[1].empty()) {
      throw UsageError(fmt::format(
          "--glossary: line {}: \"{}\" is not a term, a comma or a tab, and its translation",
          number, printable_line(row[0])));
    }
    const auto [term, is_new] = known.emplace(row[0], row[1]);
    if (!is_new && term->second != row[1]) {
      throw UsageError(fmt::format("--glossary: line {}: \"{}\" has another translation above",
                                   number, printable_line(row[0])));
    }
    if (is_new) lines += fmt::format("\n{} = {}", row[0], row[1]);
  }
  if (known.empty()) throw UsageError("--glossary: there is no term in it");
  if (known.size() > kMaxGlossaryTerms) {
    throw UsageError(fmt::format(
        "--glossary: {} terms; every request carries them, so {} is the most. Keep those that "
        "these documents have",
        with_commas(static_cast<std::int64_t>(known.size())), kMaxGlossaryTerms));
  }
  return "Translate these terms as given, inflected as the sentence needs it:" + lines;
}

}  // namespace docmill
