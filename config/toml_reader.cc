#include "config/toml_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "base/errors.h"
#include "base/money.h"
#include "base/text.h"

namespace docmill {
namespace {

constexpr std::string_view kKeysNeverHere =
    "keys never stand in the config: write key_env = \"NAME\" with the name of the variable that "
    "holds it, or key_file = \"PATH\"";

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// What a message repeats of a value that is not as wanted.
std::string value_shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return fmt::format("\"{}\"", shown(text->get()));
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return type_name(node);
}

// The decimal that stands in the file: a double gives back any literal of up to 15 digits.
std::optional<std::string> decimal_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* number = node.as_floating_point()) {
    char digits[400];
    const std::to_chars_result end = std::to_chars(std::begin(digits), std::end(digits),
                                                   number->get(), std::chars_format::fixed);
    if (end.ec == std::errc()) return std::string(digits, end.ptr);
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_size_bytes(std::string_view text) {
  std::int64_t number = 0;
  const std::from_chars_result end =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc() || number < 0) return std::nullopt;
  const std::string_view unit(end.ptr,
                              static_cast<std::size_t>(text.data() + text.size() - end.ptr));
  std::int64_t unit_bytes = 0;
  if (unit == "KiB") unit_bytes = std::int64_t{1} << 10;
  if (unit == "MiB") unit_bytes = std::int64_t{1} << 20;
  if (unit == "GiB") unit_bytes = std::int64_t{1} << 30;
  if (unit_bytes == 0 || number > std::numeric_limits<std::int64_t>::max() / unit_bytes) {
    return std::nullopt;
  }
  return number * unit_bytes;
}

}  // namespace

std::filesystem::path TomlFile::resolved(const std::filesystem::path& path) const {
  return path.is_absolute() ? path : path_.parent_path() / path;
}

void TomlFile::fail(std::uint32_t line, std::string_view message) const {
  throw UsageError(printable_line(fmt::format("{}:{}: {}", path_.string(), line, message)));
}

TomlTable::TomlTable(const toml::table& toml, std::string title, std::uint32_t line, TomlFile& file)
    : toml_(&toml), title_(std::move(title)), line_(line), file_(&file) {}

const toml::node* TomlTable::node(std::string_view key) {
  asked_.emplace_back(key);
  return toml_->get(key);
}

std::uint32_t TomlTable::line_of(std::string_view key) const {
  const auto found = toml_->find(key);
  return found == toml_->end() ? line_ : found->first.source().begin.line;
}

void TomlTable::fail(std::string_view key, std::string_view message) const {
  file_->fail(line_of(key), message);
}

std::optional<std::string> TomlTable::string_value(std::string_view key, std::string_view wanted) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = value->as_string()) return text->get();
  fail(key, fmt::format("\"{}\" must be {}, not {}", key, wanted, value_shown(*value)));
}

std::optional<std::string> TomlTable::text(std::string_view key) {
  std::optional<std::string> value = string_value(key, "a string in quotes");
  if (value && value->empty()) fail(key, fmt::format("\"{}\" is empty", key));
  if (value && has_control(*value)) {
    fail(key, fmt::format("\"{}\" has a control character or line break in it", key));
  }
  return value;
}

std::optional<std::string> TomlTable::prose(std::string_view key) {
  std::optional<std::string> value = string_value(key, "a string in quotes");
  if (value && is_blank(*value)) fail(key, fmt::format("\"{}\" is empty", key));
  return value;
}

std::optional<std::string> TomlTable::one_of(std::string_view key,
                                             std::initializer_list<std::string_view> words) {
  const std::string wanted = fmt::format("\"{}\"", fmt::join(words, "\" or \""));
  std::optional<std::string> value = string_value(key, wanted);
  if (value && std::find(words.begin(), words.end(), *value) == words.end()) {
    fail(key, fmt::format("\"{}\" must be {}, not \"{}\"", key, wanted, shown(*value)));
  }
  return value;
}

std::optional<bool> TomlTable::flag(std::string_view key) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = value->as_boolean()) return flag->get();
  fail(key, fmt::format("\"{}\" must be true or false, not {}", key, value_shown(*value)));
}

std::optional<std::int64_t> TomlTable::whole(std::string_view key, std::int64_t lowest,
                                             std::int64_t highest) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const auto* whole = value->as_integer();
  if (whole != nullptr && whole->get() >= lowest && whole->get() <= highest) return whole->get();
  fail(key, fmt::format("\"{}\" must be a whole number from {} to {}, not {}", key, lowest, highest,
                        value_shown(*value)));
}

std::optional<double> TomlTable::number(std::string_view key, double lowest, double highest) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<double> number = value->is_number() ? value->value<double>() : std::nullopt;
  if (number && *number >= lowest && *number <= highest) return number;
  fail(key, fmt::format("\"{}\" must be a number from {} to {}, not {}", key, lowest, highest,
                        value_shown(*value)));
}

std::optional<std::int64_t> TomlTable::duration_ms(std::string_view key, std::string_view lowest,
                                                   std::string_view highest) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const auto* text = value->as_string();
  const std::optional<std::int64_t> given_ms =
      text == nullptr ? std::nullopt : parse_duration_ms(text->get());
  if (given_ms && *given_ms >= parse_duration_ms(lowest) &&
      *given_ms <= parse_duration_ms(highest)) {
    return given_ms;
  }
  fail(key, fmt::format("\"{}\" must be a duration from \"{}\" to \"{}\" with its unit (ms, s, m, "
                        "h, d), not {}",
                        key, lowest, highest, value_shown(*value)));
}

std::optional<std::int64_t> TomlTable::size_bytes(std::string_view key, std::int64_t lowest,
                                                  std::int64_t highest) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  std::optional<std::int64_t> bytes;
  if (const auto* whole = value->as_integer()) bytes = whole->get();
  if (const auto* text = value->as_string()) bytes = parse_size_bytes(text->get());
  if (bytes && *bytes >= lowest && *bytes <= highest) return bytes;
  fail(key, fmt::format("\"{}\" must be {} to {} bytes, such as 16777216 or \"16MiB\", not {}", key,
                        lowest, highest, value_shown(*value)));
}

// An amount with at most six decimals: as many as a price has, and few enough that a TOML float
// holds every digit.
std::optional<std::int64_t> TomlTable::decimal_pusd(std::string_view key, std::string_view wanted) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::string> text = decimal_text(*value);
  const std::optional<std::int64_t> amount_pusd = text ? parse_usd(*text) : std::nullopt;
  if (amount_pusd && *amount_pusd % 1'000'000 == 0) return amount_pusd;
  fail(key, fmt::format("\"{}\" must be {}, not {}", key, wanted, value_shown(*value)));
}

std::optional<std::int64_t> TomlTable::usd_pusd(std::string_view key) {
  return decimal_pusd(key, "USD from 0 to 9000000 with at most 6 decimals, such as 25.00");
}

std::optional<std::int64_t> TomlTable::price_pusd(std::string_view key) {
  constexpr std::string_view wanted =
      "USD per million tokens from 0 to 1000 with at most 6 decimals, such as 0.42";
  const std::optional<std::int64_t> amount_pusd = decimal_pusd(key, wanted);
  if (!amount_pusd) return std::nullopt;
  const std::int64_t price_pusd = *amount_pusd / 1'000'000;
  if (price_pusd <= kMaxPricePusd) return price_pusd;
  fail(key, fmt::format("\"{}\" must be {}, not {}", key, wanted, value_shown(*toml_->get(key))));
}

std::optional<std::vector<std::string>> TomlTable::texts(std::string_view key) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const auto* array = value->as_array();
  std::vector<std::string> texts;
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    if (const auto* text = (*array)[i].as_string()) texts.push_back(text->get());
  }
  if (array != nullptr && !array->empty() && texts.size() == array->size()) return texts;
  fail(key, fmt::format("\"{}\" must be an array of strings that has at least one, such as [\"a\", "
                        "\"b\"]",
                        key));
}

std::optional<std::map<std::string, std::string>> TomlTable::text_map(std::string_view key) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const auto* table = value->as_table();
  if (table == nullptr) {
    fail(key, fmt::format("\"{}\" must be a table, such as {{ name = \"value\" }}", key));
  }
  std::map<std::string, std::string> map;
  for (const auto& [name, entry] : *table) {
    const auto* text = entry.as_string();
    if (text == nullptr || name.str().empty() || has_control(name.str()) ||
        has_control(text->get())) {
      file_->fail(name.source().begin.line,
                  fmt::format("\"{}\" takes names with strings in quotes, both without control "
                              "characters; {} is not such",
                              key, quoted_name(name.str())));
    }
    map.emplace(name.str(), text->get());
  }
  return map;
}

TomlTable TomlTable::inner(const toml::table& toml, std::string title, std::uint32_t line) const {
  return TomlTable(toml, std::move(title), line, *file_);
}

std::optional<TomlTable> TomlTable::table(std::string_view key) {
  const toml::node* value = node(key);
  if (value == nullptr) return std::nullopt;
  const std::string title = title_.empty()
                                ? fmt::format("[{}]", key)
                                : fmt::format("{}.{}]", title_.substr(0, title_.size() - 1), key);
  if (const auto* table = value->as_table()) return inner(*table, title, line_of(key));
  fail(key, fmt::format("\"{}\" must be a table: {}", key, title));
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) {
  std::vector<TomlTable> tables;
  const toml::node* value = node(key);
  if (value == nullptr) return tables;
  const auto* array = value->as_array();
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const toml::node& entry = (*array)[i];
    if (const auto* table = entry.as_table()) {
      tables.push_back(
          inner(*table, fmt::format("an entry of \"{}\"", key), entry.source().begin.line));
    }
  }
  if (array != nullptr && tables.size() == array->size()) return tables;
  fail(key, fmt::format("\"{}\" must be an array of tables, such as [ {{ ... }} ]", key));
}

std::map<std::string, TomlTable> TomlTable::named_tables() const {
  std::map<std::string, TomlTable> tables;
  const std::string outer = title_.substr(0, title_.size() - 1);
  for (const auto& [key, value] : *toml_) {
    const std::string name(key.str());
    const std::uint32_t line = key.source().begin.line;
    const std::string title = fmt::format("{}.{}]", outer, quoted_name(name));
    if (is_blank(name) || trimmed(name) != name || has_control(name) ||
        name.find(',') != std::string::npos) {
      file_->fail(line, fmt::format("{}: a name has at least one character, no comma, no control "
                                    "characters and no blanks around it",
                                    title));
    }
    const auto* table = value.as_table();
    if (table == nullptr) {
      file_->fail(line, fmt::format("{} must be a table, such as {}.NAME]; \"{}\" is {}", title_,
                                    outer, shown(name), type_name(value)));
    }
    tables.emplace(name, inner(*table, title, line));
  }
  return tables;
}

void TomlTable::reject_unknown_keys() const {
  const toml::key* first = nullptr;
  for (const auto& [key, value] : *toml_) {
    if (std::find(asked_.begin(), asked_.end(), key.str()) != asked_.end()) continue;
    if (first == nullptr || key.source().begin < first->source().begin) first = &key;
  }
  if (first != nullptr) fail_unknown(std::string(first->str()));
}

void TomlTable::fail_unknown(const std::string& key) const {
  static const std::set<std::string> kKeyNames = {
      "key",          "api_key", "apikey",   "api-key", "token",         "api_token",
      "access_token", "secret",  "password", "bearer",  "authorization", "auth_token"};
  if (kKeyNames.count(lower_ascii(key)) > 0) {
    fail(key, fmt::format("unknown key \"{}\"; {}", key, kKeysNeverHere));
  }
  if (const std::optional<std::string> meant = nearest(key, asked_)) {
    fail(key, fmt::format("unknown key \"{}\"; did you mean \"{}\"?", shown(key), *meant));
  }
  std::vector<std::string> known = asked_;
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  fail(key, fmt::format("unknown key \"{}\"; {} takes {}", shown(key),
                        title_.empty() ? "the file" : title_, fmt::join(known, ", ")));
}

std::string quoted_name(std::string_view name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return bare ? std::string(name) : fmt::format("\"{}\"", name);
}

bool looks_like_key(std::string_view value) {
  if (value.substr(0, 3) == "sk-" || value.substr(0, 3) == "sk_" || value.substr(0, 4) == "AIza") {
    return true;
  }
  const auto has = [value](char first, char last) {
    return std::any_of(value.begin(), value.end(),
                       [first, last](char c) { return c >= first && c <= last; });
  };
  return value.size() >= 30 && has('0', '9') && has('a', 'z') &&
         value.find_first_of("/. ") == std::string_view::npos;
}

std::string shown(std::string_view value) {
  if (looks_like_key(value)) return "(not shown)";
  if (value.size() <= 80) return std::string(value);
  return std::string(utf8_prefix(value, 77)) + "...";
}

namespace {

// [[a]] makes a list of tables; a list of inline tables is a value, such as a chain.
bool is_made_by_headers(const toml::node& value) {
  const toml::array* list = value.as_array();
  if (list == nullptr || !value.is_array_of_tables() || list->empty()) return false;
  return !list->front().as_table()->is_inline();
}

}  // namespace

void reject_dotted_names(const TomlTable& names,
                         std::initializer_list<std::string_view> sub_tables) {
  const auto belongs = [&sub_tables](std::string_view key) {
    return std::find(sub_tables.begin(), sub_tables.end(), key) != sub_tables.end();
  };
  // The first table below `table` that does not belong there.
  const auto stray = [&belongs](const toml::table& table) -> const toml::key* {
    for (const auto& [key, value] : table) {
      const bool is_table = value.is_table() || is_made_by_headers(value);
      if (is_table && !belongs(key.str())) return &key;
    }
    return nullptr;
  };
  const std::string outer = names.title().substr(0, names.title().size() - 1);
  for (const auto& [name, value] : names.toml()) {
    std::string dotted(name.str());
    std::string where = fmt::format("\"{}\"", name.str());
    const toml::table* table = value.as_table();
    const toml::key* key = table == nullptr ? nullptr : stray(*table);
    if (key == nullptr) continue;
    std::uint32_t line = 0;
    for (; key != nullptr; key = table == nullptr ? nullptr : stray(*table)) {
      dotted += fmt::format(".{}", key->str());
      where = fmt::format("\"{}\" inside {}", key->str(), where);
      line = key->source().begin.line;
      table = table->get_as<toml::table>(key->str());
    }
    names.file().fail(line, fmt::format("{}.{}] means {}. Write {}.\"{}\"].", outer, dotted, where,
                                        outer, dotted));
  }
}

namespace {

// toml++ nests a table for each dot of a key, and frees them by recursion.
constexpr std::ptrdiff_t kMostDotsInLine = 200;

void check_lines(std::string_view text, const TomlFile& file) {
  std::uint32_t line = 1;
  for (std::size_t start = 0; start <= text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view row = text.substr(start, end - start);
    if (std::count(row.begin(), row.end(), '.') > kMostDotsInLine) {
      file.fail(line, fmt::format("more than {} dots in one line", kMostDotsInLine));
    }
    start = end + 1;
  }
}

}  // namespace

toml::table parse_toml(std::string_view text, const TomlFile& file) {
  check_lines(text, file);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    file.fail(error.source().begin.line, error.description());
  }
}

}  // namespace docmill
