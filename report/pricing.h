#pragma once

// Prices for looking back: of a what-if's model, of a file's records, and of the whole past by
// another list.

#include <functional>
#include <optional>
#include <string>

#include "config/config.h"
#include "config/price_file.h"
#include "report/cost_report.h"
#include "report/usage_file.h"

namespace docmill {

// A model of the config, or one that a list knows by that name. Throws UsageError that names the
// nearest. `list` null: the store is not there.
WhatIf what_if_on(const std::string& model, const Config& config, PriceList* list,
                  std::int64_t now_ms);

// By what a provider's export says: the config's model of that name, else the lists'.
UsageSource::PriceOf price_of_records(const UsageFile& file, const Config& config, PriceList* list,
                                      std::int64_t now_ms);

// For ReportWish::reprice: what attempts cost by the file's prices, as they were in force when each
// was sent. The provider is the config's name of it, or the vendor that its host belongs to.
std::function<std::optional<std::int64_t>(const CountedAttempt&)> reprice_by(const PriceFile& file,
                                                                             const Config& config);

}  // namespace docmill
