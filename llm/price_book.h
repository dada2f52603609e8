#pragma once

// Which price is in force for a model of the config, and for what a provider says has answered.
//
// The config's own price wins. Without one the lists are asked for (provider, model), where the
// provider is the config's name of it or the vendor that its host belongs to, and the model its
// key, the provider's name for it, or that without the date at its end. What no list knows is
// unpriced.
//
// A reply that names another model than the one asked is priced as that one, if it is known: as a
// model of the config on the same provider, or by a list. "gpt-4.1-2025-04-14" is gpt-4.1.

#include <map>
#include <optional>
#include <string>

#include "llm/model.h"
#include "store/price_list.h"

namespace docmill {

// The vendor whose own API that is, as price lists name it; empty: unknown. The base_url's origin
// decides, so a relay is never priced as the vendor it relays to.
std::string vendor_of_host(const std::string& base_url);

// Without a vendor before it and a date after it: what two names of one model have in common.
std::string plain_model_name(const std::string& name);

// What a list says that a model costs on that provider; the config's prices aside. What was set by
// hand comes first, then imports, then what came with the program.
std::optional<ListedPrice> listed_price(PriceList& list, const Provider& provider,
                                        const std::string& key, const std::string& name,
                                        std::int64_t now_ms);

// Gives models without a price in the config the one of a list.
void fill_prices(PriceList& list, const Providers& providers, Models& models, std::int64_t now_ms);

class PriceBook {
 public:
  // All must outlive it.
  PriceBook(PriceList& list, const Providers& providers, const Models& models);

  // Reads the lists anew and writes the config's prices that have changed; in the caller's
  // transaction. Cheap when nothing has: `next_change_ms` says until when the answers below hold.
  void refresh(std::int64_t now_ms);
  std::int64_t next_change_ms() const { return next_change_ms_; }

  // Nothing: unpriced.
  std::optional<PriceRow> asked(const std::string& key) const;
  // `asked_then`: what asked() said when the request was sent.
  std::optional<PriceRow> returned(const std::string& key, const std::string& model_returned,
                                   const std::optional<PriceRow>& asked_then,
                                   std::int64_t sent_at_ms);

 private:
  std::optional<PriceRow> other(const Model& asked, const std::string& model_returned,
                                std::int64_t now_ms);
  PriceList& list_;
  const Providers& providers_;
  const Models& models_;
  std::map<std::string, PriceRow> asked_;                           // by key
  std::map<std::pair<std::string, std::string>, PriceRow> others_;  // by key and returned name
  std::int64_t next_change_ms_ = 0;
};

}  // namespace docmill
