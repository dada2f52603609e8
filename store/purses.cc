#include "store/purses.h"

#include <sqlite3.h>

#include "base/check.h"
#include "base/money.h"

namespace docmill {

Purses::Purses(Database& db)
    : db_(db),
      read_(db, "SELECT cap_pusd, spent_pusd, reserved_pusd FROM batch WHERE id = ?1"),
      write_(db, "UPDATE batch SET spent_pusd = ?2, reserved_pusd = ?3 WHERE id = ?1") {}

Purses::Purse& Purses::purse(BatchId batch) {
  CHECK(sqlite3_get_autocommit(db_.connection().getHandle()) == 0);
  const auto [it, is_new] = purses_.try_emplace(batch.value);
  if (is_new) {
    Cursor row = read_.run(batch);
    CHECK(row.next());
    it->second = {row.maybe_integer(0), row.integer(1), row.integer(2), false};
  }
  return it->second;
}

void Purses::add(BatchId batch, std::int64_t spent_pusd, std::int64_t reserved_pusd) {
  Purse& purse = this->purse(batch);
  purse.spent_pusd += spent_pusd;
  purse.reserved_pusd += reserved_pusd;
  purse.is_changed = true;
}

bool Purses::has_room(BatchId batch, std::int64_t pusd) {
  const Purse& purse = this->purse(batch);
  const auto sum_pusd = add_pusd(purse.spent_pusd, purse.reserved_pusd);
  return sum_pusd && add_pusd(*sum_pusd, pusd);
}

bool Purses::reserve(BatchId batch, std::int64_t ceiling_pusd) {
  CHECK(ceiling_pusd >= 0);
  if (!has_room(batch, ceiling_pusd)) return false;
  Purse& purse = this->purse(batch);
  if (purse.cap_pusd && purse.spent_pusd + purse.reserved_pusd + ceiling_pusd > *purse.cap_pusd) {
    return false;
  }
  purse.reserved_pusd += ceiling_pusd;
  purse.is_changed = true;
  return true;
}

void Purses::write() {
  for (const auto& [batch, purse] : purses_) {
    if (purse.is_changed) CHECK(write_.change(batch, purse.spent_pusd, purse.reserved_pusd) == 1);
  }
  purses_.clear();
}

}  // namespace docmill
