#pragma once

// Files of prices, for `docmill prices import`, `report --reprice` and the list that comes with the
// program:
//
//   JSON  LiteLLM's price map (model_prices_and_context_window.json): USD per token
//   TOML  our own: [models."gpt-4.1"] with provider, name, effective and a price as in the config
//
// Of the map, rows of chat models with an input and an output price count. A row whose price cannot
// be told in our terms is skipped with the reason, never guessed.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "store/price_list.h"

namespace docmill {

struct SkippedPrice {
  std::string model;
  std::string why;
};

struct PriceFile {
  std::vector<ListedPrice> prices;  // of origin "import"
  std::vector<SkippedPrice> skipped;
  std::int64_t rounded = 0;  // rates that were finer than a pico-USD per token
};

// `effective_at_ms` is for prices that do not say it themselves; `source` is the file's name.
// Throws UsageError that names file and line or model.
PriceFile read_price_file(const std::filesystem::path& file, std::int64_t effective_at_ms);
PriceFile parse_price_map(std::string_view json, const std::filesystem::path& file,
                          std::int64_t effective_at_ms);
PriceFile parse_price_toml(std::string_view toml, const std::filesystem::path& file,
                           std::int64_t effective_at_ms);

}  // namespace docmill
