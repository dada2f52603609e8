#pragma once

// What a provider's reply means: an outcome for the policy, an answer for the task, usage for the
// ledger. The facts behind each rule are provider documentation and recorded traffic; where
// providers contradict each other the status comes first, then the code, then the message.
//
// A 200 is not yet success: the body must be JSON without a top-level error, with a choice that has
// content and a finish reason that says it is whole.

#include <optional>
#include <string>

#include "llm/http_reply.h"
#include "llm/model.h"
#include "queue/policy.h"
#include "store/ledger.h"

namespace docmill {

struct DecodedReply {
  Outcome outcome;
  std::string text;           // the answer; empty unless answered, refused or truncated
  std::string finish_reason;  // as the provider said it
  std::string model_returned;
  std::string service_tier;  // that served it, as the reply says; empty: it does not
  std::string request_id;
  std::optional<Usage> usage;
  std::string usage_json;                     // as it came
  std::optional<std::int64_t> reported_pusd;  // what the provider says that it charged
  std::optional<std::int64_t> provider_ms;
  std::string refused_parameter;  // what a refusal of a parameter says, lower case; else empty
};

DecodedReply decode_reply(const HttpReply& reply, const Provider& provider);

// An answer by another model than the one that is pinned is none.
void check_pin(DecodedReply& decoded, const Model& model);

// The body of a reply that has choices, whatever is in them: tools, several, cut off, filtered. For
// who takes replies as they are. Nothing: it has none.
std::optional<std::string> raw_answer(const HttpReply& reply);

// A streamed answer that was cut: about what was used until then, marked as an estimate, for
// usage_json. Nothing when no part of an answer had come.
std::string estimated_usage_json(const HttpReply& reply, std::int64_t input_tokens);

// By what a reply is billed.
struct Billing {
  std::optional<PriceRow> price;
  std::int64_t sent_at_ms = 0;    // prices may go by the hour
  bool base_is_priority = false;  // that tier was asked for, and its price is the base
};

// What the ledger keeps of it. The cost is usage times price; without a price it is what the reply
// says that it cost, in USD, and without that it is unpriced. A reply that may have been billed
// without usage is unknown; the rest is zero.
Settlement settlement_of(const DecodedReply& decoded, const HttpReply& reply,
                         const Billing& billing);

}  // namespace docmill
