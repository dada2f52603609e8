#pragma once

// What a pass over the documents of a submit finds.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "llm/tokenizers.h"
#include "store/job_rows.h"
#include "tasks/batch_spec.h"
#include "tasks/estimate.h"

namespace docmill {

struct Submission {
  std::string batch;
  std::int64_t documents = 0;
  std::int64_t fresh = 0;
  std::int64_t changed = 0;
  std::int64_t unchanged = 0;  // these are not sent, and not in what follows
  std::int64_t reused = 0;     // nor are these: their results were paid for before
  std::int64_t saved_pusd = 0;
  std::int64_t unreadable = 0;
  std::int64_t text_bytes = 0;
  std::map<int, std::int64_t> routes;         // documents by the route that they take
  std::vector<std::string> unreadable_names;  // the first few
  BatchEstimate estimate;
};

// A document before or after it became a job.
struct Seen {
  const std::string& id;
  const std::string& text;
  const std::string& error;  // empty: it was read
};

class Counting {
 public:
  // `config` must outlive it.
  Counting(const Config& config, std::vector<EstimateRecord> past, std::int64_t now_ms);

  // `saved_pusd`: the result of another is taken, and nothing is sent.
  void add(const Seen& document, const BatchSpec& spec, int chosen, Added added,
           std::optional<std::int64_t> saved_pusd);
  // Without the batch's name.
  Submission result() const;

 private:
  void add_unreadable(const Seen& document);

  Tokenizers tokenizers_;
  Estimator estimator_;
  Submission sum_;
};

// A result that a model of the document's chain gave to the same request before.
std::optional<Reusable> choose_reuse(const std::vector<Reusable>& found, const Chain& chain);

}  // namespace docmill
