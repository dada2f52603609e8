#include "worker/caps.h"

#include <fmt/format.h>

#include <chrono>

#include "base/money.h"

namespace docmill {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

std::chrono::year_month month_holding(std::int64_t time_ms) {
  const std::chrono::sys_days day{std::chrono::days{time_ms / kDayMs}};
  const std::chrono::year_month_day date{day};
  return date.year() / date.month();
}

std::int64_t start_of(std::chrono::year_month month) {
  return std::chrono::sys_days{month / 1}.time_since_epoch().count() * kDayMs;
}

}  // namespace

std::int64_t day_of(std::int64_t time_ms) {
  return time_ms - time_ms % kDayMs;
}

std::int64_t month_of(std::int64_t time_ms) {
  return start_of(month_holding(time_ms));
}

std::int64_t month_after(std::int64_t time_ms) {
  return start_of(month_holding(time_ms) + std::chrono::months{1});
}

void Caps::begin(Ledger& ledger, std::int64_t now_ms) {
  days_.clear();
  if (!is_any()) return;
  unknown_ = ledger.unknown_count();
  for (const SpendingRow& row : ledger.spending_since(month_of(now_ms))) {
    days_[row.day_ms][row.tenant] += row.pusd;
  }
}

void Caps::follow(Ledger& ledger, std::int64_t now_ms) {
  if (is_any() && ledger.unknown_count() != unknown_) begin(ledger, now_ms);
}

void Caps::add(const std::string& tenant, std::int64_t opened_at_ms, std::int64_t pusd) {
  if (is_any()) days_[day_of(opened_at_ms)][tenant] += pusd;
}

std::int64_t Caps::sum(const std::string& tenant, std::int64_t from_ms) const {
  std::int64_t sum_pusd = 0;
  for (auto day = days_.lower_bound(from_ms); day != days_.end(); ++day) {
    for (const auto& [name, pusd] : day->second) {
      if (tenant.empty() || name == tenant) sum_pusd += pusd;
    }
  }
  return sum_pusd;
}

bool Caps::binds(const std::string& tenant) const {
  return options_.daily_pusd.has_value() || options_.tenants.contains(tenant);
}

std::vector<Caps::Use> Caps::uses(std::int64_t now_ms) const {
  std::vector<Use> uses;
  const std::int64_t day_ms = day_of(now_ms);
  if (options_.daily_pusd) uses.push_back({"", false, *options_.daily_pusd, sum("", day_ms)});
  for (const auto& [tenant, caps] : options_.tenants) {
    if (caps.daily_pusd) uses.push_back({tenant, false, *caps.daily_pusd, sum(tenant, day_ms)});
    if (caps.monthly_pusd) {
      uses.push_back({tenant, true, *caps.monthly_pusd, sum(tenant, month_of(now_ms))});
    }
  }
  return uses;
}

std::optional<Caps::Refusal> Caps::refusal(const std::string& tenant, std::int64_t ceiling_pusd,
                                           std::int64_t now_ms) const {
  std::optional<Refusal> latest;
  const auto check = [&](const std::optional<std::int64_t>& cap_pusd, const std::string& what,
                         std::int64_t used_pusd, std::int64_t until_ms) {
    if (!cap_pusd || used_pusd + ceiling_pusd <= *cap_pusd) return;
    if (latest && latest->until_ms >= until_ms) return;
    latest = Refusal{
        fmt::format("{}, {} ({} spent or open)", what, human_usd(*cap_pusd), human_usd(used_pusd)),
        until_ms, *cap_pusd - used_pusd, ceiling_pusd > *cap_pusd};
  };
  const std::int64_t day_ms = day_of(now_ms);
  check(options_.daily_pusd, "the daily cap", options_.daily_pusd ? sum("", day_ms) : 0,
        day_ms + kDayMs);
  const auto own = options_.tenants.find(tenant);
  if (own == options_.tenants.end()) return latest;
  check(own->second.daily_pusd, fmt::format("the daily cap of tenant {}", tenant),
        sum(tenant, day_ms), day_ms + kDayMs);
  check(own->second.monthly_pusd, fmt::format("the monthly cap of tenant {}", tenant),
        sum(tenant, month_of(now_ms)), month_after(now_ms));
  return latest;
}

}  // namespace docmill
