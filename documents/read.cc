#include "documents/read.h"

#include <dirent.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <semaphore>
#include <thread>
#include <unordered_set>

#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "documents/convert.h"
#include "documents/decode.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

// Enough for the first entries of a ZIP.
constexpr std::size_t kHeadBytes = 4096;
constexpr std::size_t kBufferBytes = 64 << 10;
// Each may take 2 GiB of memory (convert.cc), and what waits behind a slow one is kept in memory.
constexpr int kMostConversions = 8;
constexpr std::size_t kMostPending = 32;

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::string head_of(std::FILE* file) {
  std::string head(kHeadBytes, '\0');
  head.resize(std::fread(head.data(), 1, head.size(), file));
  return head;
}

enum class Kind { file, folder, other };

// What an entry of a folder is, by the folder's own word where it has one.
Kind kind_of(unsigned char entry_type, const fs::path& path) {
  if (entry_type == DT_REG) return Kind::file;
  if (entry_type == DT_DIR) return Kind::folder;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_regular_file(status)) return Kind::file;
  return fs::is_directory(status) ? Kind::folder : Kind::other;
}

using Cores = std::counting_semaphore<kMostConversions>;

class Turn {
 public:
  explicit Turn(Cores& cores) : cores_(cores) { cores_.acquire(); }
  ~Turn() { cores_.release(); }
  Turn(const Turn&) = delete;

 private:
  Cores& cores_;
};

class Reading {
 public:
  Reading(const ReadOptions& options, const std::function<void(Document)>& take)
      : options_(options), take_(take) {}

  void read(const std::string& input);
  // Hands out what is still converted.
  void finish();

 private:
  // A file that is converted, or what came after one.
  struct Pending {
    Document document;
    std::future<Decoded> text;  // invalid: the document has it already
  };

  void read_at(const fs::path& path);
  void read_pattern(const std::string& pattern);
  void read_stdin();
  void read_folder(const fs::path& folder, const std::string& id);
  void read_at(const fs::path& path, Kind kind, const std::string& id);
  void read_file(Document document);
  void read_as(Format format, std::FILE* stream, Document document);
  void start_conversion(Format format, Document document);
  Decoded plain_text(std::string head, std::FILE* stream);
  bool is_excluded(const std::string& id) const;
  void give(Document document);
  void hand_out(Document document);
  void hand_out_first();

  const ReadOptions& options_;
  const std::function<void(Document)>& take_;
  // Hashes of the ids so far: 64 bits each, so that a million ids cost some 40 MB.
  std::unordered_set<std::size_t> seen_ids_;
  // Programs convert side by side; what is read meanwhile waits behind, in the order of reading.
  Cores cores_{
      std::clamp<int>(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostConversions)};
  std::deque<Pending> pending_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);  // of the one file that is open
  std::vector<char> block_ = std::vector<char>(kBufferBytes);
  bool read_stdin_ = false;
};

void Reading::give(Document document) {
  if (pending_.empty()) return hand_out(std::move(document));
  if (pending_.size() >= kMostPending) hand_out_first();
  pending_.push_back({std::move(document), {}});
}

void Reading::start_conversion(Format format, Document document) {
  if (pending_.size() >= kMostPending) hand_out_first();
  const auto convert_in_turn = [this, format, file = fs::path(document.source)] {
    const Turn turn(cores_);
    return convert(format, file, options_.allow_blank_pages);
  };
  pending_.push_back({std::move(document), std::async(std::launch::async, convert_in_turn)});
}

void Reading::hand_out_first() {
  Pending first = std::move(pending_.front());
  pending_.pop_front();
  if (first.text.valid()) {
    Decoded decoded = first.text.get();
    first.document.text = std::move(decoded.text);
    first.document.error = std::move(decoded.error);
  }
  hand_out(std::move(first.document));
}

void Reading::finish() {
  while (!pending_.empty()) hand_out_first();
}

void Reading::hand_out(Document document) {
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
  const fs::path path = fs::absolute(input).lexically_normal();
  std::error_code error;
  if (fs::exists(path, error)) return read_at(path);
  if (input.find_first_of("*?[") == std::string::npos) {
    throw UsageError(fmt::format("{}: no such file or folder", input));
  }
  read_pattern(input);
}

void Reading::read_at(const fs::path& path) {
  // "contracts/" has no last name of its own.
  const fs::path named = path.has_filename() ? path : path.parent_path();
  read_at(named, kind_of(DT_UNKNOWN, named), named.filename().string());
}

void Reading::read_pattern(const std::string& pattern) {
  glob_t found{};
  const int status = glob(pattern.c_str(), GLOB_BRACE, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  if (status != 0) throw UsageError(fmt::format("{}: nothing matches it", pattern));
  for (const std::string& path : paths) read_at(fs::absolute(path).lexically_normal());
}

bool Reading::is_excluded(const std::string& id) const {
  const std::string name = id.substr(id.rfind('/') + 1);
  return std::any_of(options_.excludes.begin(), options_.excludes.end(),
                     [&](const std::string& one) {
                       const bool is_path = one.find('/') != std::string::npos;
                       return fnmatch(one.c_str(), is_path ? id.c_str() : name.c_str(), 0) == 0;
                     });
}

void Reading::read_folder(const fs::path& folder, const std::string& id) {
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(opendir(folder.c_str()), &closedir);
  if (!opened) {
    return give({id + "/", folder.string(), "", "", "",
                 fmt::format("the folder: {}", std::strerror(errno))});
  }
  std::map<std::string, unsigned char> types;  // by name, and so in order
  while (const dirent* entry = readdir(opened.get())) {
    if (entry->d_name[0] != '.') types.emplace(entry->d_name, entry->d_type);
  }
  for (const auto& [name, type] : types) {
    const std::string entry_id = id + "/" + name;
    if (is_excluded(entry_id)) continue;
    const fs::path path = folder / name;
    const Kind kind = kind_of(type, path);
    std::error_code error;
    // A link to a folder may lead back here; the folder itself is read where it stands.
    if (kind == Kind::folder && fs::is_symlink(path, error)) continue;
    read_at(path, kind, entry_id);
  }
}

void Reading::read_at(const fs::path& path, Kind kind, const std::string& id) {
  if (kind == Kind::folder) return read_folder(path, id);
  Document document;
  document.id = id;
  document.source = path.string();
  if (kind == Kind::file) return read_file(std::move(document));
  // Opening a pipe or a device may never return.
  std::error_code error;
  document.error = fs::exists(path, error) ? "it is not a regular file" : "it is a link to nothing";
  give(std::move(document));
}

void Reading::read_file(Document document) {
  const Stream stream(std::fopen(document.source.c_str(), "re"), &std::fclose);
  if (!stream) {
    document.error = std::strerror(errno);
    return give(std::move(document));
  }
  std::setvbuf(stream.get(), buffer_.data(), _IOFBF, buffer_.size());
  const fs::path path = document.source;
  read_as(options_.format ? *options_.format
                          : format_by_extension(lower_ascii(path.extension().string())),
          stream.get(), std::move(document));
}

void Reading::read_as(Format format, std::FILE* stream, Document document) {
  std::string head = head_of(stream);
  if (!options_.format) {
    const Sniffed sniffed = sniff(head);
    if (!sniffed.unread.empty()) {
      document.error = "it is " + sniffed.unread;
      return give(std::move(document));
    }
    // A page that is called notes.txt may be about HTML.
    const bool is_surely = sniffed.format && (*sniffed.format != Format::html || !is_plain(format));
    if (is_surely) format = *sniffed.format;
    if (!sniffed.format && !is_plain(format) && format != Format::html) format = Format::text;
  }
  if (format != Format::text && is_plain(format)) std::rewind(stream);
  const auto take = [this](Document record) { give(std::move(record)); };
  const RecordFile records{stream, document.id, document.source};
  if (format == Format::openai_batch) return read_openai_batch(records, take);
  if (format == Format::jsonl) return read_jsonl(records, take);
  if (format == Format::csv) return read_csv(records, ',', options_.records, take);
  if (format == Format::tsv) return read_csv(records, '\t', options_.records, take);
  if (format != Format::text && !head.empty()) {
    return start_conversion(format, std::move(document));
  }
  Decoded decoded = plain_text(std::move(head), stream);
  document.text = std::move(decoded.text);
  document.error = std::move(decoded.error);
  give(std::move(document));
}

Decoded Reading::plain_text(std::string head, std::FILE* stream) {
  std::string bytes = std::move(head);
  while (std::feof(stream) == 0) {
    bytes.append(block_.data(), std::fread(block_.data(), 1, block_.size(), stream));
    if (std::ferror(stream) != 0) return {"", std::strerror(errno)};
    if (static_cast<std::int64_t>(bytes.size()) > kMaxDocumentBytes) {
      return {"", fmt::format("it is larger than {}", human_bytes(kMaxDocumentBytes))};
    }
  }
  return decode_text(std::move(bytes), options_.encoding);
}

void Reading::read_stdin() {
  const int first = std::getc(stdin);
  if (first == EOF) throw UsageError("stdin is empty");
  std::ungetc(first, stdin);
  const Format format = options_.format.value_or(first == '{' ? Format::jsonl : Format::text);
  const auto take = [this](Document record) { give(std::move(record)); };
  const RecordFile records{stdin, "stdin", "-"};
  if (format == Format::openai_batch) return read_openai_batch(records, take);
  if (format == Format::jsonl) return read_jsonl(records, take);
  if (format == Format::csv) return read_csv(records, ',', options_.records, take);
  if (format == Format::tsv) return read_csv(records, '\t', options_.records, take);
  if (format != Format::text) {
    throw UsageError("stdin is text, JSONL or CSV; give the file by its name for anything else");
  }
  Document document;
  document.id = "stdin";
  document.source = "-";
  Decoded decoded = plain_text("", stdin);
  if (decoded.error.starts_with("it is larger")) {
    throw UsageError("stdin has more than 64 MiB; give many documents as JSONL");
  }
  document.text = std::move(decoded.text);
  document.error = std::move(decoded.error);
  give(std::move(document));
}

}  // namespace

void read_documents(const std::vector<std::string>& inputs, const ReadOptions& options,
                    const std::function<void(Document)>& take) {
  Reading reading(options, take);
  for (const std::string& input : inputs) reading.read(input);
  reading.finish();
}

}  // namespace docmill
