#pragma once

// TOML as the parts of the config read it: a table whose getters check type and range, and which
// remembers what it was asked for. Whatever nobody asked for is an unknown key. So the code that
// reads a key is the only place that lists it, and each complaint comes with file and line.

#ifndef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 0
#endif
#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace docmill {

// The file that is being read: where its complaints come from.
class TomlFile {
 public:
  explicit TomlFile(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }
  // `path` as it is meant: relative ones start at the file's folder.
  std::filesystem::path resolved(const std::filesystem::path& path) const;
  // Throws UsageError "FILE:LINE: message".
  [[noreturn]] void fail(std::uint32_t line, std::string_view message) const;

 private:
  std::filesystem::path path_;
};

// `toml` and `file` must outlive it. Every getter gives nothing when the key is absent and throws
// UsageError when its value is not what the getter promises.
class TomlTable {
 public:
  // `title` names the table in messages: [worker], an entry of "rules".
  TomlTable(const toml::table& toml, std::string title, std::uint32_t line, TomlFile& file);

  std::optional<std::string> text(std::string_view key);   // not empty, no control characters
  std::optional<std::string> prose(std::string_view key);  // not empty, may have lines
  std::optional<std::string> one_of(std::string_view key,
                                    std::initializer_list<std::string_view> words);
  std::optional<bool> flag(std::string_view key);
  std::optional<std::int64_t> whole(std::string_view key, std::int64_t lowest,
                                    std::int64_t highest);
  std::optional<double> number(std::string_view key, double lowest, double highest);
  std::optional<std::int64_t> duration_ms(std::string_view key, std::string_view lowest,
                                          std::string_view highest);
  std::optional<std::int64_t> size_bytes(std::string_view key, std::int64_t lowest,
                                         std::int64_t highest);
  std::optional<std::int64_t> usd_pusd(std::string_view key);
  // USD per million tokens, as pico-USD per token.
  std::optional<std::int64_t> price_pusd(std::string_view key);
  std::optional<std::vector<std::string>> texts(std::string_view key);
  std::optional<std::map<std::string, std::string>> text_map(std::string_view key);
  std::optional<TomlTable> table(std::string_view key);
  std::vector<TomlTable> tables(std::string_view key);  // an array of tables
  // For a table whose keys are names the user chose: each of them, by name.
  std::map<std::string, TomlTable> named_tables() const;
  // The value as it is, for what no getter fits. Null when absent.
  const toml::node* node(std::string_view key);

  bool has(std::string_view key) const { return toml_->contains(key); }
  std::uint32_t line_of(std::string_view key) const;  // the table's own when it lacks the key
  const std::string& title() const { return title_; }
  const toml::table& toml() const { return *toml_; }
  TomlFile& file() const { return *file_; }
  [[noreturn]] void fail(std::string_view key, std::string_view message) const;
  [[noreturn]] void fail(std::string_view message) const { file_->fail(line_, message); }
  // Call when every known key has been asked for. Throws UsageError on any other.
  void reject_unknown_keys() const;

 private:
  std::optional<std::string> string_value(std::string_view key, std::string_view wanted);
  std::optional<std::int64_t> decimal_pusd(std::string_view key, std::string_view wanted);
  [[noreturn]] void fail_unknown(const std::string& key) const;
  TomlTable inner(const toml::table& toml, std::string title, std::uint32_t line) const;

  const toml::table* toml_;
  std::string title_;
  std::uint32_t line_;
  TomlFile* file_;
  std::vector<std::string> asked_;
};

// Throws UsageError with the line.
toml::table parse_toml(std::string_view text, const TomlFile& file);

// The name as TOML wants it after a dot: bare where that is allowed, else in quotes.
std::string quoted_name(std::string_view name);
// A value for a message. Long ones and ones that look like a key are not repeated.
std::string shown(std::string_view value);
bool looks_like_key(std::string_view value);

// [models.gpt-4.1] is TOML for a table "1" in a model "gpt-4". Throws UsageError with the quoted
// form for any table below a name, except those in `sub_tables`, which belong there.
void reject_dotted_names(const TomlTable& names,
                         std::initializer_list<std::string_view> sub_tables);

}  // namespace docmill
