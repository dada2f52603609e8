#pragma once

// A lane is one model's right to start requests: its limits and its provider's, the rest that a
// Retry-After asked for, what refusals taught, and the breakers of the model and of the host.
//
// A lane of which nothing is known begins with a few requests at once. Each answer lets more
// fly, and each half second without a refusal twice as many, until the limit or the first overload:
// a provider that is full answers a few with 429, not a whole pool. Overload (429 without a word,
// 503, 529) lowers how many fly at once to four fifths of what flew, at most once for those that
// flew together; from then on an answer raises it by its share of one.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "llm/model.h"
#include "queue/policy.h"
#include "worker/breaker.h"
#include "worker/limits.h"
#include "worker/pace.h"

namespace docmill {

// One request of a lane, from start() to end().
struct Departure {
  std::int64_t order = 0;
  std::int64_t at_ms = 0;
  Load load;
  Breaker::Ticket model;
  Breaker::Ticket requests;
  Breaker::Ticket host;
};

class Lane {
 public:
  // The provider's limits and the host's breaker are shared, and must outlive the lane.
  Lane(const Model& model, Limits& provider_limits, Breaker& host, Breaker::Options breaker,
       double burst_seconds = 2.0);

  const Model& model() const { return model_; }
  const Limits& provider_limits() const { return provider_; }
  Limits& own_limits() { return own_; }
  // Its last request was refused, and not for what it asked: the next one asks whether that is
  // over.
  bool is_in_doubt() const { return own_.pause || provider_.pause || rests_ > 0; }

  // Nothing: a request may start now.
  std::optional<Refusal> refusal(std::int64_t now_ms);
  // `load` with estimated input tokens and the output limit.
  Departure start(std::int64_t now_ms, const Load& load);
  // `usage` absent: the reply has none.
  void end(const Departure& departure, const Outcome& outcome, const Decision& decision,
           const std::optional<Usage>& usage, const RateHints& hints, std::int64_t now_ms);
  // Nobody said how many may fly at once.
  void begin_small();
  // Requests sent before this process began, oldest first.
  void begin(std::int64_t now_ms, const std::vector<SentRow>& sent);

  // Tokens of a text by what this model has reported for others, from the estimate by its scripts.
  double expected_tokens(std::int64_t estimate) const;

  // How its requests are written now.
  const Form& form() const { return form_; }
  // A request of that form was refused for what `complaint` says. True: another form will be used.
  bool repair(const Form& used, const std::string& complaint);

 private:
  void end_breakers(const Departure& departure, Ending ending, std::int64_t now_ms);
  void correct(const Departure& departure, const Outcome& outcome,
               const std::optional<Usage>& usage, std::int64_t now_ms);
  void learn(const Departure& departure, const RateHints& hints, std::int64_t now_ms);
  void rise(double by);
  bool is_crowded(std::int64_t order);
  void rest(std::int64_t until_ms, std::string why);
  void adapt(const Departure& departure, const Outcome& outcome, std::int64_t now_ms);

  const Model& model_;
  Limits& provider_;
  Breaker& host_;
  Limits own_;
  Breaker breaker_;
  Breaker bad_requests_;  // of ours, not of documents
  Pace pace_;
  Form form_;
  bool has_changed_field_ = false;
  std::map<std::int64_t, Departure> flying_;  // by order
  std::int64_t next_order_ = 1;
  std::optional<double> in_flight_now_;  // absent: what is configured
  bool is_beginning_ = false;            // it was not lowered, it has yet to rise
  std::int64_t doubles_at_ms_ = 0;       // while it is; 0: nothing was sent yet
  std::int64_t lowered_at_ms_ = 0;
  int rests_ = 0;                   // after 429s, since the last answer
  std::deque<std::int64_t> crowd_;  // the orders of the last that were refused for overload
  std::int64_t rests_until_ms_ = 0;
  std::string rests_for_;
  double tokens_per_estimate_ = 1;
};

}  // namespace docmill
