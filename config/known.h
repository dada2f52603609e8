#pragma once

// What is known without a config: the vendors' own endpoints and a list of their models with prices
// of one day, of our own making. A provider is there when its usual variable is set.
//
// The list also prices models of a config that have no price, where the provider is the vendor's
// own host.

#include <vector>

#include "config/config.h"
#include "store/price_list.h"

namespace docmill {

// Models are named VENDOR/NAME: "openai/gpt-4.1-mini". Without any of the variables there is
// nothing in it. OPENAI_BASE_URL counts as OpenAI's own clients take it.
Config known_config();

// The names of all variables that known_config() looks at.
std::vector<std::string> known_key_variables();

// Gives the list's price to models of the config that have none.
void fill_known_prices(Config& config);

// What a model of that name is known to cost: by the list that came with the program, and by what
// the store has, if that is given.
std::vector<ListedPrice> known_prices(PriceList* list, const std::string& name,
                                      std::int64_t now_ms);

// Why a price looks like a mistake of units, as per token or per thousand tokens instead of per
// million: it is some thousand times off from every price that is known. Empty: it does not.
std::string price_doubt(const Price& price, const std::vector<ListedPrice>& known);

}  // namespace docmill
