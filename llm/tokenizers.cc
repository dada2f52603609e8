#include "llm/tokenizers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/text.h"
#include "llm/tokenizer.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

// The largest known, Gemini's, has 17.5 MB.
constexpr std::int64_t kMaxFileBytes = 64 << 20;

// Of OpenAI's tiktoken (openai_public.py at 4e71bbe0).
constexpr const char* kCl100kPattern =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|)"
    R"(\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr const char* kO200kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Known {
  const char* name;
  const char* file;
  const char* pattern;  // null: the file is a tokenizer.json
};
constexpr Known kKnown[] = {{"o200k_base", "o200k_base.tiktoken", kO200kPattern},
                            {"cl100k_base", "cl100k_base.tiktoken", kCl100kPattern},
                            {"deepseek", "deepseek.json", nullptr}};

const Known& known_tokenizer(const std::string& name) {
  const Known* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                    [&](const Known& one) { return name == one.name; });
  CHECK(known != std::end(kKnown));  // the config let it through
  return *known;
}

fs::path from_environment(const char* name, const char* below) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? fs::path() : fs::path(value) / below;
}

std::string content_of(const fs::path& file) {
  if (!fs::exists(file)) throw UsageError("there is no such file");
  auto content = read_file(file, kMaxFileBytes);
  if (!content) throw UsageError(fmt::format("it is larger than {}", human_bytes(kMaxFileBytes)));
  return std::move(*content);
}

}  // namespace

Tokenizers::Tokenizers(std::vector<fs::path> folders) : folders_(std::move(folders)) {}

Tokenizers::~Tokenizers() = default;

fs::path Tokenizers::file_of(const std::string& name) const {
  if (is_tokenizer_path(name)) return name;
  for (const fs::path& folder : folders_) {
    const fs::path file = folder / known_tokenizer(name).file;
    if (fs::exists(file)) return file;
  }
  return {};
}

bool Tokenizers::is_here(const std::string& name) const {
  return fs::exists(file_of(name));
}

Tokenizer* Tokenizers::find(const std::string& name) {
  const auto [place, is_new] = opened_.try_emplace(name);
  if (!is_new) return place->second.get();
  const fs::path file = file_of(name);
  if (file.empty()) return nullptr;
  try {
    const std::string content = content_of(file);
    const char* pattern = is_tokenizer_path(name) ? nullptr : known_tokenizer(name).pattern;
    place->second =
        std::make_unique<Tokenizer>(pattern == nullptr ? Tokenizer::from_json(content)
                                                       : Tokenizer::from_ranks(content, pattern));
  } catch (const UsageError& error) {
    opened_.erase(place);
    throw UsageError(fmt::format("tokenizer {}: {}", file.string(), error.what()));
  }
  return place->second.get();
}

TokenCount Tokenizers::count(const Model& model, std::string_view text) {
  Tokenizer* tokenizer = model.tokenizer.empty() ? nullptr : find(model.tokenizer);
  if (tokenizer == nullptr) return {estimated_tokens(text), false};
  return {tokenizer->count(text), true};
}

std::vector<fs::path> tokenizer_folders() {
  if (const fs::path own = from_environment("DOCMILL_TOKENIZERS", ""); !own.empty()) return {own};
  constexpr const char* kBelow = "docmill/tokenizers";
  fs::path home = from_environment("XDG_DATA_HOME", kBelow);
  if (home.empty()) home = from_environment("HOME", ".local/share/docmill/tokenizers");
  std::vector<fs::path> folders;
  if (!home.empty()) folders.push_back(home);
  folders.push_back(fs::path("/usr/local/share") / kBelow);
  folders.push_back(fs::path("/usr/share") / kBelow);
  return folders;
}

std::vector<std::string> tokenizer_names() {
  std::vector<std::string> names;
  for (const Known& one : kKnown) names.emplace_back(one.name);
  return names;
}

bool is_tokenizer_path(std::string_view name) {
  return name.find('/') != std::string_view::npos || name.ends_with(".json");
}

}  // namespace docmill
