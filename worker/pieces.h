#pragma once

// Documents that are too long for one request: cut into pieces, each a job of its own, and put
// together when the last of them is done, in the transaction that settles it.
//
//   a document ──cut──▶ pieces ──each answered──▶ joined (translations, extractions): done
//        ▲                                    └─▶ combined (summaries): one more request, or, if
//        └──────── cut again, a level up ◀────────  they are too long for that, cut again

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/tokenizers.h"
#include "queue/job_queue.h"
#include "tasks/batch_spec.h"
#include "tasks/structure.h"
#include "tasks/task.h"

namespace docmill {

class Pieces {
 public:
  // All that is referred to must outlive it. Opens the models' tokenizers: throws UsageError when a
  // file is none.
  Pieces(JobQueue& queue, const Models& models, std::vector<std::filesystem::path> tokenizers);

  ~Pieces();

  // The request for the job on this model: for its text, or for what its pieces were made into.
  // Absent: its text is damaged on disk.
  std::optional<ChatRequest> request(const Job& job, const BatchSpec& spec, const Model& model);
  TokenCount count(const ChatRequest& request, const Model& model);
  // The request of so many tokens, or a translation's answer, does not fit.
  bool is_too_long(const BatchSpec& spec, const ChatRequest& request, const TokenCount& input,
                   const Model& model);
  // A model of the route after `position` can take it.
  bool fits_further_on(const BatchSpec& spec, const Route& route, int position,
                       const ChatRequest& request);

  // Whether the answer is what the task asks for. Of a piece it need not have everything. A
  // translation whose structure is not its source's is a result with a problem; beside a source
  // that is damaged on disk it is one without.
  CheckedAnswer check(const Job& job, const BatchSpec& spec, const std::string& answer);

  bool may_cut(const Job& job, const ChatRequest& request) const;
  // False: there is nowhere to cut, and nothing is changed. `in_half`: the request fits the model,
  // and its answer did not.
  bool cut(const Job& job, const BatchSpec& spec, const ChatRequest& request, const Model& model,
           bool in_half);
  // A piece is done. False: others of its document are not.
  bool gather(const Job& piece, const BatchSpec& spec);

 private:
  // The document's, or what its pieces were made into.
  std::optional<std::string> text_of(const Job& job);
  // Null: it has none.
  const JsonSchema* schema_of(const BatchSpec& spec);

  JobQueue& queue_;
  const Models& models_;
  Tokenizers tokenizers_;
  std::map<std::string, std::unique_ptr<JsonSchema>> schemas_;  // by their text
  StructureCheck structure_;
};

}  // namespace docmill
