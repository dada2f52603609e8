#include "tasks/documents.h"

#include <fmt/format.h>
#include <unistd.h>
#include <utf8.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/errors.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Formats with a reader still to come: reading them as text would send their bytes to a model.
const char* unread_format(const std::string& extension) {
  static constexpr const char* kFormats[] = {".pdf",  ".docx", ".odt", ".html", ".htm",
                                             ".epub", ".csv",  ".doc", ".rtf",  ".xlsx",
                                             ".pptx", ".png",  ".jpg", ".zip",  ".gz"};
  for (const char* format : kFormats) {
    if (extension == format) return format;
  }
  return nullptr;
}

bool is_jsonl(const std::string& extension) {
  return extension == ".jsonl" || extension == ".ndjson";
}

std::string from_utf16(std::string_view bytes, bool big_endian) {
  std::u16string units;
  for (std::size_t i = 2; i + 1 < bytes.size(); i += 2) {
    const auto first = static_cast<unsigned char>(bytes[i]);
    const auto second = static_cast<unsigned char>(bytes[i + 1]);
    units.push_back(static_cast<char16_t>(big_endian ? first << 8 | second : second << 8 | first));
  }
  std::string text;
  try {
    utf8::utf16to8(units.begin(), units.end(), std::back_inserter(text));
  } catch (const utf8::exception&) {
    return {};
  }
  return text;
}

// Sets text, or error.
void decode_text(std::string bytes, Document& document) {
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) {
    bytes = from_utf16(bytes, bytes.starts_with("\xfe\xff"));
  } else if (bytes.starts_with("\xef\xbb\xbf")) {
    bytes.erase(0, 3);
  }
  if (is_blank(bytes)) {
    document.error = "it has no text";
  } else if (bytes.find('\0') != std::string::npos) {
    document.error = "it is not text (it has NUL bytes)";
  } else if (!is_valid_utf8(bytes)) {
    document.error = "it is not UTF-8 text; convert it first, for example with iconv -t UTF-8";
  } else {
    document.text = std::move(bytes);
  }
}

// One JSONL line, without its line end.
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

class Reading {
 public:
  Reading(InputFormat format, const std::function<void(Document)>& take)
      : format_(format), take_(take) {}

  void read(const std::string& input);

 private:
  void read_stdin();
  void read_folder(const fs::path& folder, const std::string& id);
  void read_file_at(const fs::path& file, const std::string& id);
  void read_text_file(const fs::path& file, const std::string& id);
  void read_lines(std::FILE* file, const std::string& id, const std::string& source);
  void give(Document document);

  InputFormat format_;
  const std::function<void(Document)>& take_;
  // Hashes of the ids so far: 64 bits each, so that a million ids cost some 40 MB.
  std::unordered_set<std::size_t> seen_ids_;
  bool read_stdin_ = false;
};

void Reading::give(Document document) {
  if (document.id.empty()) document.error = "its id is empty";
  if (!is_valid_utf8(document.id)) document.id = repaired_utf8(document.id);
  if (!seen_ids_.insert(std::hash<std::string>{}(document.id)).second) {
    throw UsageError(fmt::format(
        "the id \"{}\" comes twice (now from {}); give the inputs in two batches, or make the ids "
        "differ. What was queued before it stays queued",
        printable_line(document.id), document.source));
  }
  take_(std::move(document));
}

void Reading::read(const std::string& input) {
  if (input == "-") {
    if (read_stdin_) throw UsageError("stdin (-) can be given once");
    read_stdin_ = true;
    return read_stdin();
  }
  std::error_code error;
  const fs::path path = fs::absolute(input).lexically_normal();
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) throw UsageError(fmt::format("{}: no such file or folder", input));
  // "contracts/" has no last name of its own.
  const fs::path named = path.has_filename() ? path : path.parent_path();
  const std::string id = named.filename().string();
  if (fs::is_directory(status)) {
    read_folder(named, id);
  } else {
    read_file_at(named, id);
  }
}

void Reading::read_folder(const fs::path& folder, const std::string& id) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (it->path().filename().string().front() != '.') entries.push_back(*it);
  }
  if (error) {
    return give({id + "/", folder.string(), "", "", "", "the folder: " + error.message()});
  }
  std::sort(entries.begin(), entries.end());
  for (const fs::directory_entry& entry : entries) {
    const std::string name = id + "/" + entry.path().filename().string();
    // A link to a folder may lead back here; the folder itself is read where it stands.
    if (entry.is_directory(error)) {
      if (!entry.is_symlink(error)) read_folder(entry.path(), name);
    } else {
      read_file_at(entry.path(), name);
    }
  }
}

void Reading::read_file_at(const fs::path& file, const std::string& id) {
  const std::string extension = lower_ascii(file.extension().string());
  const bool as_records =
      format_ == InputFormat::jsonl || (format_ == InputFormat::by_name && is_jsonl(extension));
  if (!as_records) return read_text_file(file, id);
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    return give({id, file.string(), "", "", "", "it is not a regular file"});
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "re"),
                                                               &std::fclose);
  if (!stream) {
    return give({id, file.string(), "", "", "", std::strerror(errno)});
  }
  read_lines(stream.get(), id, file.string());
}

void Reading::read_text_file(const fs::path& file, const std::string& id) {
  Document document;
  document.id = id;
  document.source = file.string();
  const char* format = unread_format(lower_ascii(file.extension().string()));
  if (format_ == InputFormat::by_name && format != nullptr) {
    document.error = fmt::format("{} files are not read by this version", format);
    return give(std::move(document));
  }
  try {
    auto bytes = read_file(file, kMaxDocumentBytes);
    if (bytes) {
      decode_text(std::move(*bytes), document);
    } else {
      document.error = "it is larger than 64 MiB";
    }
  } catch (const WorldError& error) {
    document.error = error.what();
  }
  give(std::move(document));
}

void Reading::read_lines(std::FILE* file, const std::string& id, const std::string& source) {
  char* buffer = nullptr;
  std::size_t capacity = 0;
  // getline() owns the buffer between calls.
  const auto free_buffer = [&](void*) { std::free(buffer); };
  const std::unique_ptr<void, decltype(free_buffer)> owner(&buffer, free_buffer);
  ssize_t length = 0;
  for (std::int64_t number = 1; (length = getline(&buffer, &capacity, file)) >= 0; ++number) {
    const std::string_view line = trimmed({buffer, static_cast<std::size_t>(length)});
    if (line.empty()) continue;
    Document document;
    document.id = fmt::format("{}:{}", id, number);  // unless the line has one
    document.source = source;
    if (length > kMaxDocumentBytes) {
      document.error = "the line is longer than 64 MiB";
    } else {
      decode_record(line, document);
    }
    if (!document.error.empty()) document.error += fmt::format(" (line {})", number);
    give(std::move(document));
  }
  if (std::ferror(file) != 0) throw world_error_from_errno(source);
}

void Reading::read_stdin() {
  const int first = std::getc(stdin);
  if (first == EOF) throw UsageError("stdin is empty");
  std::ungetc(first, stdin);
  const bool as_records =
      format_ == InputFormat::jsonl || (format_ == InputFormat::by_name && first == '{');
  if (as_records) return read_lines(stdin, "stdin", "-");
  Document document;
  document.id = "stdin";
  document.source = "-";
  std::string bytes;
  std::string block(1 << 16, '\0');
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), stdin)) {
    bytes.append(block.data(), got);
    if (static_cast<std::int64_t>(bytes.size()) > kMaxDocumentBytes) {
      throw UsageError("stdin has more than 64 MiB; give many documents as JSONL");
    }
  }
  if (std::ferror(stdin) != 0) throw world_error_from_errno("stdin");
  decode_text(std::move(bytes), document);
  give(std::move(document));
}

}  // namespace

void read_documents(const std::vector<std::string>& inputs, InputFormat format,
                    const std::function<void(Document)>& take) {
  Reading reading(format, take);
  for (const std::string& input : inputs) reading.read(input);
}

std::string content_hash(const Document& document) {
  return document.error.empty() ? sha256_of_parts({document.text})
                                : sha256_of_parts({"unreadable", document.error});
}

NewJob new_job(Document document, std::int64_t priority, int route) {
  NewJob job;
  job.content_hash = content_hash(document);
  job.item_key = std::move(document.id);
  job.source = std::move(document.source);
  job.extra = std::move(document.extra);
  job.priority = priority;
  job.route = route;
  if (document.error.empty()) {
    job.text = std::move(document.text);
  } else {
    job.error_class = "unreadable";
    job.error_message = std::move(document.error);
  }
  return job;
}

}  // namespace docmill
