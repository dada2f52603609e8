#include "tasks/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"
#include "tasks/task.h"

namespace docmill {
namespace {

// So many requests tell something about the next ones.
constexpr std::int64_t kEnough = 20;
// What a chat adds to its texts: OpenAI's 3 tokens a message, its role, and 3 before the answer.
constexpr std::int64_t kChatTokens = 11;
// How far a count may be off where nothing was learnt: exact ones by the provider's own additions,
// those by script by the language (provider-wire: 3.4 to 4.6 Latin characters a token).
constexpr double kExactOff = 0.03;
constexpr double kByScriptOff = 0.25;
constexpr double kLearntOff = 0.02;
// Where nothing was timed: half a second, and some 65 tokens a second.
constexpr double kGuessedStartMs = 500;
constexpr double kGuessedMsPerToken = 15;
constexpr std::size_t kElsewhere = 4;

std::int64_t scaled(std::int64_t tokens, double by) {
  return std::llround(static_cast<double>(tokens) * by);
}

// Of an answer, where none of this task is known.
Range usual_output(TaskKind kind, std::int64_t input, std::int64_t limit) {
  std::int64_t tokens = 150;
  if (kind == TaskKind::summarise) tokens = std::min<std::int64_t>(60 + input / 10, 400);
  if (kind == TaskKind::translate) tokens = input;
  tokens = std::min(tokens, limit);
  return {scaled(tokens, 0.6), tokens, limit};
}

std::optional<std::int64_t> cost_of(const Model& model, std::int64_t input, std::int64_t output,
                                    std::int64_t now_ms) {
  if (!model.price) return std::nullopt;
  Usage usage;
  usage.fresh_tokens = input;
  usage.output_tokens = output;
  return cost_pusd(usage, *model.price, model.service_tier, now_ms);
}

// Takes the slowest of the limits that it is shown.
class Slowest {
 public:
  void limit(double needed, const std::optional<double>& per_minute, const char* what,
             const std::string& whose) {
    if (!per_minute) return;
    at_most(needed / *per_minute * 60'000,
            fmt::format("{} of {} ({})", what, whose, with_commas(std::llround(*per_minute))));
  }
  void rates(double requests, double input, double output, const Rates& rates,
             const std::string& whose) {
    limit(requests, rates.requests, "requests/min", whose);
    limit(input + output, rates.tokens, "tokens/min", whose);
    limit(input, rates.input_tokens, "input tokens/min", whose);
    limit(output, rates.output_tokens, "output tokens/min", whose);
  }
  void slots(double busy_ms, double requests, int in_flight, const std::string& whose) {
    if (requests < 1) return;
    // The last answers come when the others are done.
    const double average_ms = busy_ms / requests;
    at_most(busy_ms / in_flight + average_ms,
            fmt::format("{} in flight{}, an answer in some {}", in_flight, whose,
                        human_duration(std::llround(average_ms))));
  }
  double time_ms() const { return time_ms_; }
  const std::string& by() const { return by_; }

 private:
  void at_most(double time_ms, std::string by) {
    if (time_ms <= time_ms_) return;
    time_ms_ = time_ms;
    by_ = std::move(by);
  }
  double time_ms_ = 0;
  std::string by_;
};

}  // namespace

Range& Range::operator+=(const Range& other) {
  low += other.low;
  expected += other.expected;
  high += other.high;
  return *this;
}

Estimator::Estimator(World world, Tokenizers& tokenizers)
    : world_(std::move(world)), tokenizers_(tokenizers) {}

Estimator::Learnt Estimator::learnt(const std::string& task, const std::string& model) const {
  Learnt out;
  double estimated = 0, reported = 0, squares = 0, output = 0, latency_ms = 0;
  std::int64_t of_model = 0, of_task = 0;
  for (const EstimateRecord& record : world_.past) {
    if (record.model == model) {
      of_model += record.requests;
      estimated += static_cast<double>(record.estimated_tokens);
      reported += static_cast<double>(record.reported_tokens);
      squares += record.ratio_squares;
      latency_ms += static_cast<double>(record.latency_ms);
    }
    if (record.model == model && record.task == task) {
      of_task += record.requests;
      output += static_cast<double>(record.output_tokens);
    }
  }
  if (of_model >= kEnough && estimated > 0) {
    const auto count = static_cast<double>(of_model);
    out.requests = of_model;
    out.tokens_per_estimate = reported / estimated;
    const double ratio = out.tokens_per_estimate;
    out.spread = std::sqrt(std::max(0.0, squares / count - ratio * ratio) / count);
    out.latency_ms = latency_ms / count;
  }
  if (of_task >= kEnough) out.output_tokens = output / static_cast<double>(of_task);
  return out;
}

Estimator::Expected Estimator::expected(const BatchSpec& spec, const Learnt& past,
                                        const TokenCount& input, std::int64_t limit) const {
  Expected out;
  double off = past.requests > 0 ? kLearntOff + 2 * past.spread : kByScriptOff;
  if (past.requests == 0 && input.is_exact) off = kExactOff;
  const std::int64_t tokens = past.requests > 0 ? scaled(input.tokens, past.tokens_per_estimate)
                                                : input.tokens + kChatTokens;
  out.input = {scaled(tokens, 1 - off), tokens, scaled(tokens, 1 + off)};
  out.output = usual_output(spec.kind, tokens, limit);
  if (past.output_tokens > 0) {
    const std::int64_t usual = std::min<std::int64_t>(std::llround(past.output_tokens), limit);
    out.output = {scaled(usual, 0.8), usual, limit};
  }
  return out;
}

void Estimator::add_cost(const BatchSpec& spec, const Model& model, const std::string& id,
                         const std::string& text, const Expected& tokens) {
  const auto cost = [&](std::int64_t input, std::int64_t output) {
    return cost_of(model, std::min(input, kMaxTokens), output, world_.now_ms);
  };
  const auto usual_pusd = cost(tokens.input.expected, tokens.output.expected);
  if (!usual_pusd) {
    sum_.is_unpriced = true;
    return;
  }
  sum_.cost_pusd += {cost(tokens.input.low, tokens.output.low).value_or(0), *usual_pusd,
                     ceiling_pusd(std::min(tokens.input.high, kMaxTokens), tokens.output.high,
                                  *model.price, model.service_tier)};
  if (*usual_pusd > sum_.dearest_pusd) {
    sum_.dearest_pusd = *usual_pusd;
    sum_.dearest = id;
  }
  if (text.size() <= largest_bytes_) return;
  largest_bytes_ = text.size();
  const Provider& provider = world_.providers.at(model.provider);
  const EncodedRequest encoded = RequestEncoder().encode(request_for(spec, model, text), model,
                                                         form_of(model), provider.dialect);
  sum_.largest_ceiling_pusd = std::max(
      sum_.largest_ceiling_pusd, ceiling_pusd(encoded.max_input_tokens, encoded.max_output_tokens,
                                              *model.price, model.service_tier));
}

void Estimator::add_elsewhere(const Chain& chain, const Expected& tokens) {
  for (const auto& [key, model] : world_.models) {
    if (key == chain.front().model) continue;
    const auto pusd = cost_of(model, std::min(tokens.input.expected, kMaxTokens),
                              tokens.output.expected, world_.now_ms);
    if (pusd) elsewhere_pusd_[key] += *pusd;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const std::string& key = chain[i].model;
    if (std::find(in_chain_.begin(), in_chain_.end(), key) == in_chain_.end()) {
      in_chain_.push_back(key);
    }
  }
}

bool Estimator::is_too_long(const BatchSpec& spec, const ChatRequest& request, const Model& model) {
  const std::int64_t system = tokenizers_.count(model, request.system).tokens;
  const TokenCount user = tokenizers_.count(model, request.user);
  if (!may_fit(request, {system + user.tokens, user.is_exact}, model)) return true;
  return spec.kind == TaskKind::translate && user.tokens > room_for_text(spec, model, system, true);
}

// The first of the chain that takes it as a whole, else the first, in pieces.
const Model& Estimator::model_for(const BatchSpec& spec, const Route& route,
                                  const ChatRequest& request) {
  for (const Link& link : route.chain) {
    const Model& model = world_.models.at(link.model);
    if (!is_too_long(spec, request, model)) return model;
  }
  return world_.models.at(route.chain.front().model);
}

// What the pieces of a document take, and the requests that combine them.
void Estimator::add_pieces(const BatchSpec& spec, const Model& model, const ChatRequest& request,
                           Expected& tokens) {
  const std::int64_t system = tokenizers_.count(model, request.system).tokens;
  const TokenCount user = tokenizers_.count(model, request.user);
  const std::int64_t room = room_for_text(spec, model, system, user.is_exact);
  const auto pieces_of = [room](std::int64_t text) { return text / room + 1; };
  const std::int64_t pieces = pieces_of(user.tokens);
  ++sum_.long_documents;
  sum_.pieces += pieces;
  std::int64_t requests = pieces;
  std::int64_t input = pieces * (system + kChatTokens) + user.tokens;
  if (spec.kind == TaskKind::summarise) {
    std::int64_t text = pieces * tokens.output.expected;
    for (int level = 0; level < 5 && text > room; ++level) {
      const std::int64_t again = pieces_of(text);
      input += again * (system + kChatTokens) + text;
      requests += again;
      text = again * tokens.output.expected;
    }
    input += system + kChatTokens + text;
    ++requests;
    sum_.combining += requests - pieces;
  }
  const double grows = static_cast<double>(input) /
                       static_cast<double>(std::max<std::int64_t>(system + user.tokens, 1));
  for (std::int64_t* one : {&tokens.input.low, &tokens.input.expected, &tokens.input.high}) {
    *one = scaled(*one, grows);
  }
  // A translation is as long as its text, in however many pieces.
  if (spec.kind != TaskKind::translate) {
    tokens.output = {tokens.output.low * requests, tokens.output.expected * requests,
                     tokens.output.high * requests};
  } else {
    tokens.output.expected = user.tokens;
    tokens.output.low = scaled(user.tokens, 0.6);
    tokens.output.high = requests * std::min(request.max_output_tokens, 3 * room);
  }
  tokens.requests = static_cast<double>(requests);
}

void Estimator::add(const BatchSpec& spec, const Route& route, const std::string& id,
                    const std::string& text) {
  const Model& first = world_.models.at(route.chain.front().model);
  const Model& model = model_for(spec, route, request_for(spec, first, text));
  const ChatRequest request = request_for(spec, model, text);
  const TokenCount system = tokenizers_.count(model, request.system);
  const TokenCount user = tokenizers_.count(model, request.user);
  const Learnt past = learnt(spec.task, model.key);
  Expected tokens =
      expected(spec, past, {system.tokens + user.tokens, user.is_exact}, request.max_output_tokens);
  if (is_too_long(spec, request, model)) add_pieces(spec, model, request, tokens);
  ++sum_.documents;
  sum_.is_exact = sum_.is_exact && user.is_exact;
  sum_.input_tokens += tokens.input;
  sum_.output_tokens += tokens.output;
  add_cost(spec, model, id, text, tokens);
  add_elsewhere(route.chain, tokens);
  const auto output = static_cast<double>(tokens.output.expected);
  Load& load = loads_[model.key];
  load.requests += tokens.requests;
  load.input_tokens += static_cast<double>(tokens.input.expected);
  load.output_tokens += output;
  if (past.latency_ms <= 0) sum_.is_timed = false;
  load.busy_ms += past.latency_ms > 0
                      ? past.latency_ms * tokens.requests
                      : kGuessedStartMs * tokens.requests + kGuessedMsPerToken * output;
}

BatchEstimate Estimator::result() const {
  BatchEstimate out = sum_;
  Slowest slowest;
  std::map<std::string, Load> of_providers;
  Load all;
  for (const auto& [key, load] : loads_) {
    const Model& model = world_.models.at(key);
    slowest.rates(load.requests, load.input_tokens, load.output_tokens, model.per_minute, key);
    if (model.in_flight) {
      slowest.slots(load.busy_ms, load.requests, *model.in_flight, " at " + key);
    }
    for (Load* sum : {&of_providers[model.provider], &all}) {
      sum->requests += load.requests;
      sum->input_tokens += load.input_tokens;
      sum->output_tokens += load.output_tokens;
      sum->busy_ms += load.busy_ms;
    }
  }
  for (const auto& [name, load] : of_providers) {
    const Provider& provider = world_.providers.at(name);
    slowest.rates(load.requests, load.input_tokens, load.output_tokens, provider.per_minute, name);
    slowest.slots(load.busy_ms, load.requests, provider.in_flight.value_or(kDefaultInFlight),
                  " at " + name);
  }
  slowest.slots(all.busy_ms, all.requests, world_.in_flight, "");
  out.time_ms = std::llround(slowest.time_ms());
  out.bound_by = slowest.by();
  for (const std::string& key : in_chain_) {
    const auto found = elsewhere_pusd_.find(key);
    if (found != elsewhere_pusd_.end()) out.elsewhere_pusd.push_back(*found);
  }
  std::vector<std::pair<std::string, std::int64_t>> others;
  for (const auto& one : elsewhere_pusd_) {
    if (std::find(in_chain_.begin(), in_chain_.end(), one.first) == in_chain_.end()) {
      others.push_back(one);
    }
  }
  std::stable_sort(others.begin(), others.end(),
                   [](const auto& a, const auto& b) { return a.second < b.second; });
  out.elsewhere_pusd.insert(out.elsewhere_pusd.end(), others.begin(), others.end());
  if (out.elsewhere_pusd.size() > kElsewhere) out.elsewhere_pusd.resize(kElsewhere);
  return out;
}

}  // namespace docmill
