#pragma once

// The sections of docmill.toml, one reader each, in the order in which they refer to each other:
// providers, models, routes, tasks.

#include <map>
#include <string>

#include "config/config.h"
#include "config/toml_reader.h"

namespace docmill {

// [providers]: each is reachable and its key's source is named; no key is in it.
Providers read_providers(const TomlTable& table);

// [models]: fills `models`. Every model's provider is one of `providers`.
void read_models(const TomlTable& table, const Providers& providers, Config& config);

// `chain` of `table`, or an empty chain. Each of its models is one of `models`, and none is twice.
Chain read_chain(TomlTable& table, const Models& models);

std::map<std::string, Chain> read_routes(const TomlTable& table, const Models& models);
std::map<std::string, TaskSettings> read_tasks(const TomlTable& table, const Config& config);

// "unknown WHAT "name"; did you mean "..."?", or with the names there are.
std::string unknown_name(std::string_view what, std::string_view name,
                         const std::vector<std::string>& known);

template <class Map>
std::vector<std::string> names_of(const Map& map) {
  std::vector<std::string> names;
  for (const auto& entry : map) names.push_back(entry.first);
  return names;
}

// Requests and tokens a minute, of a provider or a model.
Rates read_rates(TomlTable& table);

// `input`, `output` and what may stand beside them: USD per million tokens. Nothing: none is there.
std::optional<Price> read_price(TomlTable& table);
// A price is whole or absent; half a price would show as a cost that nobody was billed.
void check_price_is_whole(const TomlTable& table);

// extra_body as JSON text; empty for an empty table.
std::string read_extra_body(TomlTable& model);

}  // namespace docmill
