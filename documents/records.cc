#include "documents/records.h"

#include <csv.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/errors.h"
#include "base/text.h"
#include "llm/json_span.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::json;

constexpr std::size_t kBlockBytes = 64 << 10;
constexpr std::size_t kMostColumns = 10'000;

// Sets what the line says, or error.
void decode_record(std::string_view line, Document& document) {
  const auto record = parse_json(line);
  if (!record || !record->is_object()) {
    document.error = "the line is not a JSON object";
    return;
  }
  json extra = json::object();
  bool has_text = false;
  for (const auto& [key, value] : record->items()) {
    if (key == "id" && (value.is_string() || value.is_number_integer())) {
      document.id = value.is_string() ? value.get<std::string>() : value.dump();
    } else if (key == "text" && value.is_string()) {
      document.text = value.get<std::string>();
      has_text = true;
    } else if (key == "route" && value.is_string()) {
      document.route = value.get<std::string>();
    } else {
      extra[key] = value;
    }
  }
  if (!has_text) document.error = "the line has no \"text\"";
  if (has_text && is_blank(document.text)) document.error = "its \"text\" is blank";
  if (!extra.empty()) document.extra = to_text(extra);
}

// Sets what the line asks for, or error.
void decode_batch_line(std::string_view line, Document& document) {
  const auto record = parse_json(line);
  if (!record || !record->is_object()) {
    document.error = "the line is not a JSON object";
    return;
  }
  if (const std::string id = word_at(*record, "custom_id"); !id.empty()) document.id = id;
  const std::string url = word_at(*record, "url");
  const auto body = member_text(line, "body");
  if (word_at(*record, "custom_id").empty()) {
    document.error = "the line has no \"custom_id\"";
  } else if (!body || !record->at("body").is_object()) {
    document.error = "the line has no \"body\"";
  } else if (!url.empty() && !url.ends_with("/chat/completions")) {
    document.error = fmt::format("its url is {}; only /v1/chat/completions is sent", url);
  } else if (!record->at("body").contains("messages")) {
    document.error = "its body has no \"messages\"";
  } else if (const auto stream = record->at("body").find("stream");
             stream != record->at("body").end() && *stream == true) {
    document.error = "it asks for a stream, and a batch file's replies are whole";
  } else {
    document.text = std::string(*body);
  }
}

// Lines of a stream, each at most kMaxDocumentBytes; of a longer one, its beginning.
class Lines {
 public:
  explicit Lines(const RecordFile& file) : file_(file) {}

  // False at the end. `is_cut`: it was longer.
  bool next(std::string& line, bool& is_cut) {
    line.clear();
    is_cut = false;
    for (bool has_any = false;; has_any = true) {
      if (at_ == block_.size() && !fill()) return has_any || !line.empty();
      const std::size_t end = std::min(block_.find('\n', at_), block_.size());
      const std::size_t room = static_cast<std::size_t>(kMaxDocumentBytes) - line.size();
      is_cut = is_cut || end - at_ > room;
      line.append(block_, at_, std::min(end - at_, room));
      at_ = end + (end < block_.size() ? 1 : 0);
      if (end < block_.size()) return true;
    }
  }

 private:
  bool fill() {
    block_.resize(kBlockBytes);
    block_.resize(std::fread(block_.data(), 1, kBlockBytes, file_.stream));
    at_ = 0;
    if (std::ferror(file_.stream) != 0) throw world_error_from_errno(file_.source);
    return !block_.empty();
  }

  const RecordFile& file_;
  std::string block_;
  std::size_t at_ = 0;
};

// What libcsv's callbacks gather; rows are given away between its calls, since no exception may
// pass through it.
class Rows {
 public:
  Rows(const RecordFile& file, const RecordOptions& options,
       const std::function<void(Document)>& take)
      : file_(file), options_(options), take_(take) {}

  void add_cell(const char* text, std::size_t length) {
    if (cells_.size() == kMostColumns) return;
    row_bytes_ += length;
    cells_.emplace_back(row_bytes_ > static_cast<std::size_t>(kMaxDocumentBytes)
                            ? std::string()
                            : std::string(text, length));
  }

  void end_row() { gathered_.push_back({std::exchange(cells_, {}), std::exchange(row_bytes_, 0)}); }

  void give_gathered() {
    for (Row& row : std::exchange(gathered_, {})) {
      ++row_;
      if (columns_.empty()) {
        begin(row.cells);
      } else {
        give(row);
      }
    }
  }

  std::int64_t rows() const { return row_; }

 private:
  struct Row {
    std::vector<std::string> cells;
    std::size_t bytes = 0;
  };

  void begin(const std::vector<std::string>& names) {
    for (const std::string& cell : names) columns_.emplace_back(trimmed(cell));
    text_ = column(options_.text_column, "--text-column", {"text", "content", "body", "document"});
    if (!text_ && columns_.size() == 1) text_ = 0;
    if (!text_) {
      throw UsageError(fmt::format("{}: which column is the text? Give --text-column; there is {}",
                                   file_.source,
                                   printable_line(fmt::format("{}", fmt::join(columns_, ", ")))));
    }
    id_ = column(options_.id_column, "--id-column", {"id"});
  }

  std::optional<std::size_t> column(const std::string& asked, const char* flag,
                                    std::initializer_list<std::string_view> usual) const {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string name = lower_ascii(columns_[i]);
      if (asked.empty() ? std::find(usual.begin(), usual.end(), name) != usual.end()
                        : columns_[i] == asked) {
        return i;
      }
    }
    if (asked.empty()) return std::nullopt;
    throw UsageError(fmt::format("{}: {}: there is no column \"{}\"; there is {}", flag,
                                 file_.source, printable_line(asked),
                                 printable_line(fmt::format("{}", fmt::join(columns_, ", ")))));
  }

  void give(const Row& row) {
    const std::vector<std::string>& cells = row.cells;
    Document document;
    document.source = file_.source;
    document.id = id_ && *id_ < cells.size() ? cells[*id_] : fmt::format("{}:{}", file_.id, row_);
    json extra = json::object();
    for (std::size_t i = 0; i < cells.size() && i < columns_.size(); ++i) {
      if (i != *text_ && i != id_) extra[columns_[i]] = cells[i];
    }
    if (!extra.empty()) document.extra = to_text(extra);
    if (row.bytes > static_cast<std::size_t>(kMaxDocumentBytes)) {
      document.error = fmt::format("the row is longer than {}", human_bytes(kMaxDocumentBytes));
    } else if (*text_ >= cells.size() || is_blank(cells[*text_])) {
      document.error = fmt::format("its \"{}\" is blank", columns_[*text_]);
    } else if (!is_valid_utf8(cells[*text_])) {
      document.error = "it is not UTF-8 text";
    } else {
      document.text = cells[*text_];
    }
    if (!document.error.empty()) document.error += fmt::format(" (row {})", row_);
    take_(std::move(document));
  }

  const RecordFile& file_;
  const RecordOptions& options_;
  const std::function<void(Document)>& take_;
  std::vector<std::string> columns_, cells_;
  std::vector<Row> gathered_;
  std::optional<std::size_t> text_, id_;
  std::size_t row_bytes_ = 0;
  std::int64_t row_ = 0;
};

void take_cell(void* text, std::size_t length, void* rows) {
  static_cast<Rows*>(rows)->add_cell(static_cast<const char*>(text), length);
}

void take_row(int, void* rows) {
  static_cast<Rows*>(rows)->end_row();
}

}  // namespace

namespace {

void read_lines(const RecordFile& file, void (*decode)(std::string_view, Document&),
                const std::function<void(Document)>& take) {
  Lines lines(file);
  std::string whole;
  bool is_cut = false;
  for (std::int64_t number = 1; lines.next(whole, is_cut); ++number) {
    std::string_view line = trimmed(whole);
    if (number == 1 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    if (line.empty()) continue;
    Document document;
    document.id = fmt::format("{}:{}", file.id, number);  // unless the line has one
    document.source = file.source;
    if (is_cut) {
      document.error = fmt::format("the line is longer than {}", human_bytes(kMaxDocumentBytes));
    } else {
      decode(line, document);
    }
    if (!document.error.empty()) document.error += fmt::format(" (line {})", number);
    take(std::move(document));
  }
}

}  // namespace

void read_jsonl(const RecordFile& file, const std::function<void(Document)>& take) {
  read_lines(file, decode_record, take);
}

void read_openai_batch(const RecordFile& file, const std::function<void(Document)>& take) {
  read_lines(file, decode_batch_line, take);
}

void read_csv(const RecordFile& file, char separator, const RecordOptions& options,
              const std::function<void(Document)>& take) {
  Rows rows(file, options, take);
  csv_parser parser;
  CHECK(csv_init(&parser, CSV_APPEND_NULL) == 0);
  const struct Free {
    csv_parser* parser;
    ~Free() { csv_free(parser); }
  } free{&parser};
  std::string block(kBlockBytes, '\0');
  for (bool is_first = true;; is_first = false) {
    const std::size_t got = std::fread(block.data(), 1, block.size(), file.stream);
    if (std::ferror(file.stream) != 0) throw world_error_from_errno(file.source);
    if (got == 0) break;
    std::string_view bytes(block.data(), got);
    if (is_first) {
      if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
      const std::string_view header = bytes.substr(0, bytes.find('\n'));
      const bool by_semicolon = separator == ',' && header.find(',') == std::string_view::npos &&
                                header.find(';') != std::string_view::npos;
      csv_set_delim(&parser, static_cast<unsigned char>(by_semicolon ? ';' : separator));
    }
    if (csv_parse(&parser, bytes.data(), bytes.size(), take_cell, take_row, &rows) !=
        bytes.size()) {
      throw UsageError(fmt::format("{}: after row {}: {}", file.source, rows.rows(),
                                   csv_strerror(csv_error(&parser))));
    }
    rows.give_gathered();
  }
  csv_fini(&parser, take_cell, take_row, &rows);
  rows.give_gathered();
}

}  // namespace docmill
