#include "report/results.h"

#include <fmt/format.h>
#include <sys/xattr.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "base/money.h"
#include "base/sha256.h"
#include "base/text.h"
#include "documents/document.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

ordered_json usage_json(const std::optional<Usage>& usage) {
  if (!usage) return nullptr;
  return {{"input_tokens", usage->input_tokens()},
          {"cached_tokens", usage->cached_tokens},
          {"cache_write_tokens", usage->cache_write_tokens},
          {"output_tokens", usage->output_tokens},
          {"reasoning_tokens", usage->reasoning_tokens}};
}

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

bool is_unsafe(unsigned char c) {
  return c < 0x20 || c == 0x7f || c == '\\' || c == ':' || c == '*' || c == '?' || c == '"' ||
         c == '<' || c == '>' || c == '|' || c == '%';
}

// One name of a path: no separators, nothing that a shell or another system trips over.
std::string safe_name(std::string_view part) {
  std::string out;
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    const bool leading = out.empty() && (c == '-' || c == '.');
    out += is_unsafe(byte) || leading ? fmt::format("%{:02X}", byte) : std::string(1, c);
  }
  constexpr std::size_t kMaxNameBytes = 200;
  if (out.size() <= kMaxNameBytes) return out;
  // Cut names could be equal; their hash tells them apart.
  return std::string(utf8_prefix(out, kMaxNameBytes - 17)) + "~" +
         to_hex(sha256_of_parts({part}).substr(0, 8));
}

// The id as a path: "a/b" is b in the folder a. Text and Markdown keep their names.
fs::path mirrored(std::string_view id, bool is_json) {
  fs::path path;
  while (!id.empty()) {
    const std::size_t slash = std::min(id.find('/'), id.size());
    const std::string name = safe_name(id.substr(0, slash));
    if (!name.empty()) path /= name;
    id.remove_prefix(std::min(slash + 1, id.size()));
  }
  if (path.empty()) path = "%";
  const std::string extension = lower_ascii(path.extension().string());
  const bool is_text =
      extension == ".txt" || extension == ".md" || extension == ".markdown" || extension == ".text";
  if (is_json) return path.string() + ".json";
  return is_text ? path : fs::path(path.string() + ".md");
}

std::size_t hash_of(const fs::path& path) {
  return std::hash<std::string>{}(path.string());
}

constexpr const char* kMark = "user.docmill";

bool has_mark(const fs::path& path) {
  char value = 0;
  return getxattr(path.c_str(), kMark, &value, 1) > 0;
}

}  // namespace

std::string result_line(const ResultRow& row, bool is_json,
                        const std::vector<ResultPiece>& pieces) {
  ordered_json line;
  line["id"] = row.item_key;
  line["source"] = row.source;
  const bool is_queued = row.state == "ready" || row.state == "waiting" || row.state == "blocked";
  line["state"] = is_queued ? "queued" : row.state;
  line["output"] = nullptr;
  if (row.output) {
    // It was JSON when it was stored; a value that is none now would be a broken store.
    const auto value = is_json ? parse_json(*row.output) : std::nullopt;
    line["output"] = value ? ordered_json(*value) : ordered_json(*row.output);
  }
  for (const ResultPiece& piece : pieces) {
    const auto value = parse_json(piece.output);
    line["pieces"].push_back({{"begin", piece.begin},
                              {"end", piece.end},
                              {"output", value ? ordered_json(*value) : ordered_json(nullptr)}});
  }
  line["model"] = text_or_null(row.model);
  line["finish_reason"] = text_or_null(row.finish_reason);
  line["route"] = text_or_null(row.route);
  line["fallback"] = row.fell_back;
  line["reused"] = row.is_reused;
  line["usage"] = usage_json(row.usage);
  line["cost_usd"] =
      row.is_unpriced ? ordered_json(nullptr) : ordered_json(exact_usd(row.cost_pusd));
  line["possible_usd"] = exact_usd(row.possible_pusd);
  line["attempts"] = row.attempts;
  line["extra"] = nullptr;
  if (!row.extra.empty()) {
    if (const auto extra = parse_json(row.extra)) line["extra"] = ordered_json(*extra);
  }
  line["error"] = nullptr;
  if (!row.error_class.empty()) {  // of one that is done: what is not as it should be
    line["error"] = {{"class", row.error_class}, {"message", row.error_message}};
  }
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string openai_batch_line(const ResultRow& row) {
  const std::string id = fmt::format("batch_req_docmill_{}", row.id.value);
  const std::string custom_id =
      ordered_json(row.item_key).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if (row.output) {
    // A line has no line ends, and a reply may be written over several.
    std::string body = *row.output;
    for (char& c : body) {
      if (c == '\n' || c == '\r') c = ' ';  // within strings they are escaped
    }
    return fmt::format(
        R"({{"id": "{}", "custom_id": {}, "response": {{"status_code": 200, "request_id": "{}", )"
        R"("body": {}}}, "error": null}})"
        "\n",
        id, custom_id, id, body);
  }
  ordered_json error = {{"code", row.error_class.empty() ? row.state : row.error_class},
                        {"message", row.error_message}};
  if (row.state == "cancelled") {  // OpenAI's own code for that
    error = {{"code", "batch_cancelled"},
             {"message", "This request was not executed, because its batch was cancelled."}};
  }
  return fmt::format(R"({{"id": "{}", "custom_id": {}, "response": null, "error": {}}})"
                     "\n",
                     id, custom_id,
                     error.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

ResultFolder::ResultFolder(fs::path folder, bool is_json, bool force)
    : folder_(std::move(folder)), is_json_(is_json), force_(force) {}

void ResultFolder::see(const std::string& id) {
  const std::size_t slash = id.find('/');
  const std::string first = slash == std::string::npos ? "" : id.substr(0, slash + 1);
  if (is_first_) shared_ = first;
  is_first_ = false;
  if (!id.starts_with(shared_)) shared_.clear();
  // Two ids meet below the shared folder if, and only if, they meet with it.
  const fs::path whole = mirrored(id, is_json_);
  if (!files_.insert(hash_of(whole)).second) shared_files_.insert(hash_of(whole));
  for (fs::path above = whole.parent_path(); !above.empty(); above = above.parent_path()) {
    if (!folders_.insert(hash_of(above)).second) break;
  }
}

fs::path ResultFolder::path_of(const std::string& id) const {
  fs::path path = mirrored(std::string_view(id).substr(shared_.size()), is_json_);
  const std::size_t whole = hash_of(mirrored(id, is_json_));
  if (!shared_files_.contains(whole) && !folders_.contains(whole)) return path;
  // Another id leads to the same file, or into a folder of its name: the id's hash tells them
  // apart.
  const std::string own = "~" + to_hex(sha256_of_parts({id}).substr(0, 8));
  return path.replace_filename(path.stem().string() + own + path.extension().string());
}

void ResultFolder::write(const ResultRow& row) {
  const fs::path path = folder_ / path_of(row.item_key);
  std::string content = *row.output;
  if (content.empty() || content.back() != '\n') content += '\n';
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) throw WorldError(path.parent_path().string() + ": " + error.message());
  if (fs::is_symlink(fs::symlink_status(path, error))) {
    throw UsageError(path.string() + " is a link; results are not written through links");
  }
  if (fs::exists(path, error)) {
    if (read_file(path, kMaxDocumentBytes) == content) {
      ++written_.unchanged;
      return;
    }
    if (!force_ && !has_mark(path)) {
      throw UsageError(path.string() +
                       " is there and docmill did not write it; --force replaces it");
    }
  }
  write_file_atomically(path, content);
  // Says on the next run that the file is ours. Where the file system keeps no such marks a changed
  // result needs --force.
  setxattr(path.c_str(), kMark, "1", 1, 0);
  ++written_.written;
}

}  // namespace docmill
