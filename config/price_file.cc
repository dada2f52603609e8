#include "config/price_file.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "config/parts.h"

namespace docmill {
namespace {

// Twelve times LiteLLM's map of 2026.
constexpr std::int64_t kMostPriceBytes = 16 << 20;

ListedPrice read_listed(const std::string& key, TomlTable& table, std::int64_t effective_at_ms) {
  ListedPrice listed;
  listed.origin = "import";
  listed.provider = table.text("provider").value_or("");
  listed.model = table.text("name").value_or(key);
  listed.effective_at_ms = effective_at_ms;
  if (const auto date = table.text("effective")) {
    const auto at_ms = parse_iso_time(*date);
    if (!at_ms) table.fail("effective", "\"effective\" is a date in quotes: \"2026-11-24\" (UTC)");
    listed.effective_at_ms = *at_ms;
  }
  const auto price = read_price(table);
  table.reject_unknown_keys();
  check_price_is_whole(table);
  if (listed.provider.empty() || !price) {
    table.fail(fmt::format("{} needs \"provider\", \"input\" and \"output\"", table.title()));
  }
  listed.price = *price;
  listed.source =
      fmt::format("{}:{}", table.file().path().filename().string(), table.line_of("input"));
  return listed;
}

}  // namespace

PriceFile parse_price_toml(std::string_view text, const std::filesystem::path& path,
                           std::int64_t effective_at_ms) {
  TomlFile file(path);
  const toml::table toml = parse_toml(text, file);
  TomlTable root(toml, "", 1, file);
  const std::optional<TomlTable> models = root.table("models");
  root.reject_unknown_keys();
  if (!models) {
    throw UsageError(fmt::format("{}: no [models.\"NAME\"] with a price is in it", path.string()));
  }
  reject_dotted_names(*models, {});
  PriceFile out;
  for (auto& [key, own] : models->named_tables()) {
    out.prices.push_back(read_listed(key, own, effective_at_ms));
  }
  return out;
}

PriceFile read_price_file(const std::filesystem::path& file, std::int64_t effective_at_ms) {
  const std::string text = read_named_file(file, kMostPriceBytes);
  const std::size_t first = text.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  const bool is_json = first != std::string::npos && text[first] == '{';
  return is_json ? parse_price_map(text, file, effective_at_ms)
                 : parse_price_toml(text, file, effective_at_ms);
}

}  // namespace docmill
