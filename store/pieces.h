#pragma once

// The pieces of documents that are too long for one request: jobs below the document's job. A job
// that was cut is `blocked` until all pieces of its latest cutting are done. Every method runs in
// the caller's transaction.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "store/statement.h"
#include "store/texts.h"

namespace docmill {

struct NewPiece {
  std::string text;
  std::string gap;         // what stands between it and the next; nothing where they overlap
  std::int64_t begin = 0;  // where in the text it was cut from, in bytes
};

struct Piece {
  JobId id;
  int number = 1;
  std::string state;
  std::string output;  // when done
  std::string gap;
  AttemptId attempt;  // that answered it
};

class PieceStore {
 public:
  PieceStore(Database& db, Texts& texts);

  // A ready job is blocked by pieces from now on; they take over its route and priority. False when
  // it is not ready: nothing is changed.
  bool cut(JobId job, std::span<const NewPiece> pieces, std::int64_t now_ms);
  // The pieces of its latest cutting, in order.
  std::vector<Piece> pieces(JobId job);
  // The text that a job which was cut has itself.
  std::optional<std::string> text(JobId job);
  // The job that this piece belongs to, if it is blocked and all of its pieces are done now.
  std::optional<JobId> completed_by(JobId piece);
  // A blocked job has its result, or is ready for the request that combines its pieces. `changed`:
  // how the result's structure differs from what it should be; empty: it does not.
  void finish(JobId job, AttemptId attempt, const std::string& output, const std::string& changed,
              std::int64_t now_ms);
  void make_ready(JobId job);
  // The piece came to `state`, "failed" or "held", and so do the jobs above it, with its reason;
  // what has not begun below them is cancelled.
  void end_above(JobId piece, const std::string& state, const std::string& error_class,
                 const std::string& why, std::int64_t now_ms);
  // Failed documents, and held ones, go on at the start of their chain, or of `route`: as a whole,
  // or those of their pieces that are not done. Empty filters match all. How many documents.
  int retry(BatchId batch, const std::string& item_key, const std::string& error_class,
            std::optional<int> route);
  // The document was submitted with another text; or went back to the text that this job has.
  void cancel_superseded(BatchId batch, const std::string& item_key, std::int64_t now_ms);
  void revive(JobId job);
  // Nobody waits for it any more: a job above it has ended or was submitted anew.
  bool is_unwanted(JobId piece);

 private:
  Texts& texts_;
  Statement block_, insert_, pieces_, input_, completed_, finish_, put_output_, make_ready_,
      parent_, end_, cancel_below_, retry_, retry_documents_, cancel_superseded_, revive_,
      unwanted_;
};

}  // namespace docmill
