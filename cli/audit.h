#pragma once

// Holds a store against the simulator's own log: what was sent, lost, repeated and billed. The log
// is the truth; every answer follows from its request, so a result that is another's shows.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/open.h"

namespace docmill {

struct Audit {
  std::int64_t documents = 0;  // that were submitted
  std::int64_t done = 0;
  std::int64_t failed = 0;         // with the reason
  std::int64_t lost = 0;           // submitted, and neither
  std::int64_t wrong = 0;          // with a result that is not theirs
  std::int64_t requests = 0;       // that the provider saw
  std::int64_t unrecorded = 0;     // of those, without a row in the ledger
  std::int64_t repeated = 0;       // beyond one a document
  std::int64_t reported = 0;       // attempts in the ledger that did not end in an answer
  std::int64_t unknown = 0;        // of those, with an unknown outcome
  std::int64_t billed_pusd = 0;    // by the provider's count
  std::int64_t measured_pusd = 0;  // by the ledger
  std::int64_t possible_pusd = 0;
  std::string damage;

  // Nothing is lost, wrong or unrecorded, every repetition is reported, and the bill lies between
  // what was measured and what is possible.
  bool holds() const;
};

struct AuditInputs {
  std::string batch;
  std::filesystem::path log;                 // the simulator's
  std::map<std::string, std::string> texts;  // by id: all that were submitted
  std::int64_t input_pusd = 0;               // per token, of every model
  std::int64_t output_pusd = 0;
};

Audit audit(Database& db, const AuditInputs& inputs);
std::string audit_text(const Audit& audit);

}  // namespace docmill
