#pragma once

// What the ledger takes and gives: a request as it is opened, what became of it, and what of it
// counts against caps and limits.

#include <cstdint>
#include <optional>
#include <string>

#include "base/strong_id.h"
#include "store/price.h"

namespace docmill {

// A request that is about to be sent.
struct NewAttempt {
  JobId job;
  BatchId batch;
  int number = 1;
  WorkerId worker;
  std::string route;
  std::string provider;
  std::string model;        // as the config names it
  std::string model_asked;  // as the provider names it
  std::int64_t opened_at_ms = 0;
  std::int64_t request_bytes = 0;
  std::int64_t max_output_tokens = 0;
  std::int64_t estimated_tokens = 0;         // of its input, as the tokenizer or the rule says
  std::string waited_for;                    // what its job waited for; empty: for nothing long
  std::optional<std::int64_t> ceiling_pusd;  // absent: unpriced
  std::optional<PriceId> ceiling_price;
};

// What became of it.
struct Settlement {
  std::string outcome;  // "answered" or the class of the failure
  std::string error_message;
  std::optional<int> http_status;
  std::string provider_request_id;
  std::string model_returned;
  std::string service_tier;  // as the reply says it
  std::string finish_reason;
  std::optional<Usage> usage;
  std::string usage_json;
  std::optional<PriceId> price;
  std::optional<std::int64_t> cost_pusd;
  std::optional<std::int64_t> reported_pusd;  // what the provider says that it charged
  std::string cost_basis;
  std::optional<std::int64_t> first_byte_ms;
  std::optional<std::int64_t> total_ms;
  std::optional<std::int64_t> provider_ms;
};

// A late word, or a person's, on what an attempt with an unknown outcome cost.
struct Word {
  std::string cost_basis;
  std::int64_t cost_pusd = 0;
  std::optional<Usage> usage;
  std::string usage_json;  // empty: what the row has stays
  std::optional<PriceId> price;
};

// A row without an outcome.
struct OpenAttempt {
  AttemptId id;
  JobId job;
  BatchId batch;
};

// A row whose outcome is unknown.
struct UnknownAttempt {
  AttemptId id;
  BatchId batch;
  int number = 0;
  std::string item_key;
  std::string provider;
  std::string model;
  std::string outcome;
  std::string usage_json;  // an estimate of a cut answer's; empty: none
  std::int64_t opened_at_ms = 0;
  std::optional<std::int64_t> ceiling_pusd;
  std::optional<PriceId> price;  // of the ceiling
};

// A request of the last minute, as far as limits go.
struct SentRow {
  std::int64_t opened_at_ms = 0;
  std::int64_t input_tokens = 0;   // as billed, or an estimate from the request's bytes
  std::int64_t output_tokens = 0;  // as billed, or the limit
  std::int64_t cached_tokens = 0;  // read from a cache, beside input_tokens
};

// What counts against a daily or monthly cap: costs, and ceilings that are open or unknown.
struct SpendingRow {
  std::string tenant;
  std::int64_t day_ms = 0;  // its beginning
  std::int64_t pusd = 0;
};

// How the money of a batch changed.
struct MoneyChange {
  std::int64_t spent_pusd = 0;
  std::int64_t reserved_pusd = 0;
};

}  // namespace docmill
