#pragma once

// The tokenizers of this machine, by the names that the config gives them.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/model.h"
#include "llm/request.h"

namespace docmill {

class Tokenizer;

// Each opened once, when it is first asked for. Not for two threads.
class Tokenizers {
 public:
  // Where named ones are looked for, in this order.
  explicit Tokenizers(std::vector<std::filesystem::path> folders);
  ~Tokenizers();

  bool is_here(const std::string& name) const;

  // `name` as a model's `tokenizer` has it: "o200k_base", "cl100k_base", "deepseek", or the path of
  // a tokenizer.json. Null when a named one is not on this machine. Throws UsageError when a file
  // is no tokenizer or a path leads nowhere.
  Tokenizer* find(const std::string& name);

  // Of a text for a model. Throws as find() does.
  TokenCount count(const Model& model, std::string_view text);

 private:
  std::filesystem::path file_of(const std::string& name) const;  // empty: it is not here

  std::vector<std::filesystem::path> folders_;
  std::map<std::string, std::unique_ptr<Tokenizer>> opened_;
};

// $DOCMILL_TOKENIZERS, or where users and packages put data: $XDG_DATA_HOME/docmill/tokenizers
// (~/.local/share), /usr/local/share/docmill/tokenizers, /usr/share/docmill/tokenizers.
std::vector<std::filesystem::path> tokenizer_folders();

// The names that find() knows.
std::vector<std::string> tokenizer_names();
bool is_tokenizer_path(std::string_view name);

}  // namespace docmill
