#pragma once

// Results as people and programs take them: JSONL lines, or a file for each document.

#include <filesystem>
#include <string>
#include <unordered_set>

#include "store/reader.h"

namespace docmill {

// One line, with its newline. `is_json`: the output is a JSON value (extract). `pieces`: those of
// an extraction from a long document.
std::string result_line(const ResultRow& row, bool is_json,
                        const std::vector<ResultPiece>& pieces = {});

// OpenAI's batch output, a line of it, for a document that was a request: the reply's own bytes, or
// an error by its class.
std::string openai_batch_line(const ResultRow& row);

// A file for each done document below `folder`, named by its id less a first folder that all ids
// share. Text and Markdown keep their names, others get .md, extractions .json. Files that are
// there with the same content stay; with other content they are replaced only if docmill wrote them
// or `force` is given.
struct WrittenFiles {
  std::int64_t written = 0;
  std::int64_t unchanged = 0;
};
class ResultFolder {
 public:
  ResultFolder(std::filesystem::path folder, bool is_json, bool force);
  // Ids are seen first, all of them, to find the shared folder and those that would share a file.
  void see(const std::string& id);
  void write(const ResultRow& row);
  const WrittenFiles& written() const { return written_; }

  // Where the document's result goes, relative to the folder.
  std::filesystem::path path_of(const std::string& id) const;

 private:
  std::filesystem::path folder_;
  bool is_json_;
  bool force_;
  bool is_first_ = true;
  // Hashes of the paths that ids lead to, of those that several lead to, and of their folders.
  std::unordered_set<std::size_t> files_;
  std::unordered_set<std::size_t> shared_files_;
  std::unordered_set<std::size_t> folders_;
  std::string shared_;  // "contracts/" when every id starts with it
  WrittenFiles written_;
};

}  // namespace docmill
