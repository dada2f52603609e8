#pragma once

// The caps of the config that span batches: a day over everything, a day or a month of a tenant.
// They make jobs wait for the next period, where a batch's own cap holds it. What counts is what
// requests opened in the period have cost or may still cost; days and months are UTC.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/ledger.h"

namespace docmill {

struct TenantCaps {
  std::optional<std::int64_t> daily_pusd;
  std::optional<std::int64_t> monthly_pusd;
};

struct CapOptions {
  std::optional<std::int64_t> daily_pusd;
  std::map<std::string, TenantCaps> tenants;
  bool is_any() const { return daily_pusd.has_value() || !tenants.empty(); }
};

class Caps {
 public:
  struct Refusal {
    std::string reason;          // "the daily cap, $50.00 ($49.98 spent or open)"
    std::int64_t until_ms = 0;   // when the period ends
    std::int64_t left_pusd = 0;  // what would still fit
    bool can_never_fit = false;  // the request alone may cost more than the cap
  };

  struct Use {
    std::string tenant;  // empty: over all
    bool is_monthly = false;
    std::int64_t cap_pusd = 0;
    std::int64_t used_pusd = 0;  // spent, or may still cost, in the period that runs now
  };

  explicit Caps(CapOptions options) : options_(std::move(options)) {}
  bool is_any() const { return options_.is_any(); }

  // The sums of the periods that run now, from the ledger.
  void begin(Ledger& ledger, std::int64_t now_ms);
  // Anew, when a person has said meanwhile what requests of unknown outcome cost.
  void follow(Ledger& ledger, std::int64_t now_ms);
  // Nothing: a request that may cost so much may be opened now.
  std::optional<Refusal> refusal(const std::string& tenant, std::int64_t ceiling_pusd,
                                 std::int64_t now_ms) const;
  bool binds(const std::string& tenant) const;
  std::vector<Use> uses(std::int64_t now_ms) const;
  // A request was opened at that time with that ceiling, or what it may cost has become another.
  void add(const std::string& tenant, std::int64_t opened_at_ms, std::int64_t pusd);
  // A request has ended with an unknown outcome: what it may cost goes on counting.
  void add_unknown() { ++unknown_; }

 private:
  std::int64_t sum(const std::string& tenant, std::int64_t from_ms) const;
  CapOptions options_;
  // By the day's beginning and the tenant. Days before this month are forgotten at begin().
  std::map<std::int64_t, std::map<std::string, std::int64_t>> days_;
  std::int64_t unknown_ = 0;  // requests of unknown outcome, as far as this worker knows
};

// The beginnings of the UTC day and month that hold the time, and of the ones after them.
std::int64_t day_of(std::int64_t time_ms);
std::int64_t month_of(std::int64_t time_ms);
std::int64_t month_after(std::int64_t time_ms);

}  // namespace docmill
