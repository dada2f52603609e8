#pragma once

// The price rows. They are dated and never changed or deleted, because attempts point at them; a
// correction is a new row. Which one is in force for a model, at a time:
//
//   config    what the config says; the worker writes a row when that changes
//   set       `docmill prices set`, by hand
//   import    `docmill prices import`, from a list
//   snapshot  what came with the program
//
// The first origin that has a row wins, and of that the row that took effect last. Every method
// runs in the caller's transaction.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/price.h"
#include "store/statement.h"

namespace docmill {

struct ListedPrice {
  PriceId id;
  std::string provider;
  std::string model;
  std::int64_t effective_at_ms = 0;
  std::string origin;
  std::string source;  // "docmill.toml:31", "litellm.json, 2026-11-23"
  Price price;
};

class PriceList {
 public:
  explicit PriceList(Database& db);

  // Writes the row, unless the one of its origin that is in force then says the same. Whether it
  // was written. `row.id` is not read.
  bool add(const ListedPrice& row);
  // The same; the row that is in force then.
  PriceRow record(const ListedPrice& row);

  // In force at the time, the config's rows aside. Nothing: no list knows the model.
  std::optional<ListedPrice> listed(const std::string& provider, const std::string& model,
                                    std::int64_t at_ms);
  std::optional<ListedPrice> in_force(const std::string& origin, const std::string& provider,
                                      const std::string& model, std::int64_t at_ms);
  std::optional<ListedPrice> row(PriceId id);
  // Of any provider, in force: what a model of that name is known to cost.
  std::vector<ListedPrice> known(const std::string& model, std::int64_t at_ms);
  // The ids of all rows, oldest first.
  std::vector<PriceId> all();
  // When the next row that is not in force yet takes effect.
  std::optional<std::int64_t> next_change_ms(std::int64_t after_ms);

 private:
  std::optional<ListedPrice> read(Cursor& row);
  Database& db_;
  Statement in_force_, listed_, row_, variants_, insert_, insert_variant_, providers_, all_, next_;
};

}  // namespace docmill
