#include "store/price_list.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

#define PRICE_COLUMNS                                                    \
  "SELECT id, provider, model, effective_at, origin, source, "           \
  "input_pusd, cached_input_pusd, cache_write_input_pusd, output_pusd, " \
  "cache_write_1h_input_pusd FROM price "

namespace docmill {
namespace {

ModelPrice read_rates(Cursor& row, int first) {
  return {row.integer(first), row.integer(first + 1), row.integer(first + 2),
          row.integer(first + 3), row.integer(first + 4)};
}

}  // namespace

PriceList::PriceList(Database& db)
    : db_(db),
      in_force_(db, PRICE_COLUMNS R"sql(
        WHERE provider = ?1 AND model = ?2 AND effective_at <= ?3 AND origin = ?4
        ORDER BY effective_at DESC, id DESC LIMIT 1)sql"),
      listed_(db, PRICE_COLUMNS R"sql(
        WHERE provider = ?1 AND model = ?2 AND effective_at <= ?3 AND origin != 'config'
        ORDER BY CASE origin WHEN 'set' THEN 0 WHEN 'import' THEN 1 ELSE 2 END,
                 effective_at DESC, id DESC LIMIT 1)sql"),
      row_(db, PRICE_COLUMNS "WHERE id = ?1"),
      variants_(db, R"sql(
        SELECT service_tier, above_tokens, hours, input_pusd, cached_input_pusd,
               cache_write_input_pusd, output_pusd, cache_write_1h_input_pusd
        FROM price_variant WHERE price_id = ?1 ORDER BY service_tier, above_tokens, hours)sql"),
      insert_(db, R"sql(
        INSERT INTO price (provider, model, effective_at, origin, source, input_pusd,
                           cached_input_pusd, cache_write_input_pusd, output_pusd,
                           cache_write_1h_input_pusd)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10))sql"),
      insert_variant_(db, R"sql(
        INSERT INTO price_variant (price_id, service_tier, above_tokens, hours, input_pusd,
                                   cached_input_pusd, cache_write_input_pusd, output_pusd,
                                   cache_write_1h_input_pusd)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))sql"),
      providers_(db, R"sql(
        SELECT DISTINCT provider FROM price WHERE model = ?1 ORDER BY provider)sql"),
      all_(db, "SELECT id FROM price ORDER BY id"),
      next_(db, "SELECT min(effective_at) FROM price WHERE effective_at > ?1") {}

std::optional<ListedPrice> PriceList::read(Cursor& row) {
  if (!row.next()) return std::nullopt;
  ListedPrice listed;
  listed.id = {row.integer(0)};
  listed.provider = row.text(1);
  listed.model = row.text(2);
  listed.effective_at_ms = row.integer(3);
  listed.origin = row.text(4);
  listed.source = row.text(5);
  listed.price.base = read_rates(row, 6);
  for (Cursor variant = variants_.run(listed.id); variant.next();) {
    listed.price.variants.push_back(
        {variant.text(0), variant.integer(1), variant.text(2), read_rates(variant, 3)});
  }
  return listed;
}

std::optional<ListedPrice> PriceList::listed(const std::string& provider, const std::string& model,
                                             std::int64_t at_ms) {
  Cursor row = listed_.run(provider, model, at_ms);
  return read(row);
}

std::optional<ListedPrice> PriceList::in_force(const std::string& origin,
                                               const std::string& provider,
                                               const std::string& model, std::int64_t at_ms) {
  Cursor row = in_force_.run(provider, model, at_ms, origin);
  return read(row);
}

std::optional<ListedPrice> PriceList::row(PriceId id) {
  Cursor row = row_.run(id);
  return read(row);
}

std::vector<ListedPrice> PriceList::known(const std::string& model, std::int64_t at_ms) {
  std::vector<std::string> providers;
  for (Cursor row = providers_.run(model); row.next();) providers.push_back(row.text(0));
  std::vector<ListedPrice> known;
  for (const std::string& provider : providers) {
    if (auto found = listed(provider, model, at_ms)) known.push_back(std::move(*found));
  }
  return known;
}

std::vector<PriceId> PriceList::all() {
  std::vector<PriceId> ids;
  for (Cursor row = all_.run(); row.next();) ids.push_back({row.integer(0)});
  return ids;
}

std::optional<std::int64_t> PriceList::next_change_ms(std::int64_t after_ms) {
  Cursor row = next_.run(after_ms);
  CHECK(row.next());
  return row.maybe_integer(0);
}

bool PriceList::add(const ListedPrice& given) {
  ListedPrice row = given;
  std::sort(row.price.variants.begin(), row.price.variants.end(), [](const auto& a, const auto& b) {
    return std::tie(a.service_tier, a.above_tokens, a.hours) <
           std::tie(b.service_tier, b.above_tokens, b.hours);  // as they are read
  });
  const auto current = in_force(row.origin, row.provider, row.model, row.effective_at_ms);
  if (current && current->price == row.price) return false;
  const ModelPrice& base = row.price.base;
  insert_.change(row.provider, row.model, row.effective_at_ms, row.origin, row.source,
                 base.input_pusd, base.cached_input_pusd, base.cache_write_input_pusd,
                 base.output_pusd, base.cache_write_1h_input_pusd);
  const PriceId id{last_insert_id(db_)};
  for (const PriceVariant& variant : row.price.variants) {
    const ModelPrice& rates = variant.rates;
    insert_variant_.change(id, variant.service_tier, variant.above_tokens, variant.hours,
                           rates.input_pusd, rates.cached_input_pusd, rates.cache_write_input_pusd,
                           rates.output_pusd, rates.cache_write_1h_input_pusd);
  }
  return true;
}

PriceRow PriceList::record(const ListedPrice& row) {
  add(row);
  const auto current = in_force(row.origin, row.provider, row.model, row.effective_at_ms);
  CHECK(current);
  return {current->id, current->price};
}

}  // namespace docmill
