#include "store/batch_ends.h"

#define UNTOLD "finished_at IS NOT NULL AND (told_at IS NULL OR told_at < finished_at)"

namespace docmill {

BatchEnds::BatchEnds(Database& db)
    : first_(db, "SELECT id, name FROM batch INDEXED BY batch_untold WHERE " UNTOLD
                 " ORDER BY id LIMIT 1"),
      told_(db, "UPDATE batch SET told_at = max(?2, finished_at) WHERE id = ?1"),
      all_told_(db, "UPDATE batch SET told_at = finished_at WHERE " UNTOLD) {}

std::optional<BatchEnds::End> BatchEnds::first_untold() {
  Cursor row = first_.run();
  if (!row.next()) return std::nullopt;
  return End{{row.integer(0)}, row.text(1)};
}

void BatchEnds::note_told(BatchId batch, std::int64_t now_ms) {
  told_.change(batch, now_ms);
}

void BatchEnds::note_all_told() {
  all_told_.change();
}

}  // namespace docmill
