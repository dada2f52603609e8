#pragma once

// Which chain a document walks, decided once, when it is submitted, and frozen with it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tasks/batch_spec.h"

namespace docmill {

// Sends a document down another route; everything that is given must hold.
struct Rule {
  std::vector<std::string> matches;  // one of these stands in it; lower case
  std::optional<std::int64_t> over_tokens;
  std::optional<std::int64_t> over_chars;
  std::string route;
  std::vector<std::string> languages = {};  // it is in one of these (language.h)
};

struct RoutePolicy {
  std::vector<Rule> rules;      // the first that fits picks the route
  bool cheapest_first = false;  // then the chain goes by what each model would bill
};

// The index of the first route of that name; -1 when there is none.
int route_index(const BatchSpec& spec, const std::string& name);

// The route for a text that starts out on `route`: by the rules when `rules_apply`, then, with
// cheapest_first, the one of that name whose chain is in the text's own order, which is added to
// the spec when it is new there.
int choose_route(BatchSpec& spec, int route, bool rules_apply, const RoutePolicy& policy,
                 const Models& models, const std::string& text);

// The route of a whole request that names its model: that one, then the others of the first route;
// added to the spec when it is new there. -1, and `problem` says why: it cannot be asked.
int own_route(BatchSpec& spec, const Providers& providers, const Models& models,
              const std::string& body, std::string& problem);

// The chain without the models whose provider is in none of the regions. No regions: all of it.
Chain within_regions(const Chain& chain, const std::vector<std::string>& regions,
                     const Providers& providers, const Models& models);

}  // namespace docmill
