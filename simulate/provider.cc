// The order of the checks is that of a real front door: path, key, size, form, limits; only then
// chance, and last the answer.

#include "simulate/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "simulate/digest.h"

namespace docmill::sim {
namespace {

// Enough for a client that retries within its latest quarter of a million requests.
constexpr std::size_t kMostSightings = 262'144;
constexpr std::size_t kMostBuckets = 1024;

std::int64_t since_1970_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Digest keyed(std::string_view what, std::uint64_t seed, std::uint64_t number, const Digest& body) {
  return sha256_pair(fmt::format("{} {} {}", what, seed, number),
                     {reinterpret_cast<const char*>(body.data()), body.size()});
}

bool is_answered_at_once(Fate fate) {
  const int status = facts(fate).status;
  return status >= 300 && status < 500 && fate != Fate::status_408;
}

bool starts_with_200(Fate fate) {
  return facts(fate).status == 200 || fate == Fate::reset;
}

}  // namespace

struct Provider::Case {
  const Incoming& request;
  Reply reply{};
  LogLine line{};
  ChatRequest chat{};
  Digest body_digest{};
  std::uint32_t times_seen = 0;
  bool was_cut = false;  // by the limit on tokens, whatever else befell it
};

Provider::Provider(SimulatorOptions options, std::uint16_t port)
    : options_(std::move(options)),
      port_(port),
      log_(options_.log_path),
      bodies_seen_(kMostSightings),
      texts_seen_(kMostSightings) {}

Reply Provider::reply_to(const Incoming& request, std::int64_t in_flight) {
  Case now{request};
  now.line.t_ms = since_1970_ms();
  now.line.n = ++counters_.requests;
  now.line.path = request.path;
  now.line.client_request_id = request.client_request_id;
  now.line.authorization_seen = request.authorization.has_value();
  now.body_digest = sha256(request.body);
  now.line.body_sha = hex(now.body_digest, 16);
  now.line.request_id =
      "req_" + hex(keyed("request", options_.seed, now.line.n, now.body_digest), 32);
  decide(now, in_flight);
  finish(now);
  return std::move(now.reply);
}

void Provider::decide(Case& now, std::int64_t in_flight) {
  const Incoming& request = now.request;
  const Script none;
  if (request.method == "GET" && request.path.ends_with("/models")) {
    now.reply.fate = Fate::models;
    now.reply.headers.emplace_back("content-type", "application/json");
    now.reply.body = list_of_models(now.line.t_ms / 1000);
    return;
  }
  if (request.method != "POST" || !request.path.ends_with("/chat/completions")) {
    return refuse(now, none, Fate::not_found);
  }
  if (!options_.api_key.empty() && request.authorization != "Bearer " + options_.api_key) {
    return refuse(now, none, Fate::bad_key);
  }
  if (request.too_large) return refuse(now, none, Fate::too_large);
  decide_chat(now, in_flight);
}

void Provider::decide_chat(Case& now, std::int64_t in_flight) {
  std::variant<ChatRequest, BadRequest> read = read_chat_request(now.request.body);
  if (const BadRequest* bad = std::get_if<BadRequest>(&read)) {
    refuse(now, {}, Fate::bad_request);
    now.reply.body = openai_error(bad->message, "invalid_request_error", "", bad->parameter);
    return;
  }
  now.chat = std::move(std::get<ChatRequest>(read));
  const Digest doc = sha256(now.chat.user_text);
  now.line.model = now.chat.model;
  now.line.doc = hex(doc, 16);
  const std::variant<Script, std::string> script = read_script(now.chat.model, options_);
  if (const std::string* wrong = std::get_if<std::string>(&script)) {
    refuse(now, {}, Fate::bad_request);
    now.reply.body = openai_error(*wrong, "invalid_request_error", "", "model");
    return;
  }
  const Script& rules = std::get<Script>(script);
  if (refused_by_limits(now, rules, in_flight)) return;

  now.times_seen = bodies_seen_.note(first_word(now.body_digest));
  const Digest chance = keyed("fate", options_.seed, now.times_seen, now.body_digest);
  Draws draws(first_word(chance));
  const Fate fate = choose_fate(now, rules, draws);
  now.reply.latency = rules.latency.draw(draws);
  if (!starts_with_200(fate)) return refuse(now, rules, fate);
  now.reply.fate = fate;
  complete(now, rules);
}

bool Provider::refused_by_limits(Case& now, const Script& script, std::int64_t in_flight) {
  if (script.max_in_flight > 0 && in_flight >= script.max_in_flight) {
    refuse(now, script, Fate::in_flight);
    return true;
  }
  const TimePoint at = std::chrono::steady_clock::now();
  RateBucket* bucket = bucket_for(now.chat.model, script, at);
  if (bucket == nullptr) return false;
  const RateBucket::Grant grant = bucket->take(at);
  add_rate_headers(grant, now.reply);
  if (grant.allowed) return false;
  now.reply.fate = Fate::rate_limit;
  compose_rate_limit(grant, script.base_name, now.reply);
  return true;
}

RateBucket* Provider::bucket_for(const std::string& model, const Script& script, TimePoint at) {
  if (!script.requests_per_minute) {
    if (options_.requests_per_minute == 0) return nullptr;
    if (!bucket_) bucket_.emplace(options_.requests_per_minute, options_.burst, at);
    return &*bucket_;
  }
  if (*script.requests_per_minute == 0) return nullptr;
  // Whoever invents that many names gets full buckets again rather than our memory.
  if (buckets_of_models_.size() >= kMostBuckets && !buckets_of_models_.contains(model)) {
    buckets_of_models_.clear();
  }
  const RateBucket fresh(*script.requests_per_minute, script.burst, at);
  return &buckets_of_models_.try_emplace(model, fresh).first->second;
}

Fate Provider::choose_fate(const Case& now, const Script& script, Draws& draws) {
  double point = draws.unit();
  if (script.fail_first > 0) {
    const Digest key = sha256_pair(now.chat.model, now.line.doc);
    if (texts_seen_.note(first_word(key)) < script.fail_first) return Fate::status_500;
  }
  for (const SimulatedShare& part : script.mix) {
    if (point < part.share) return part.fate;
    point -= part.share;
  }
  return Fate::answer;
}

void Provider::complete(Case& now, const Script& script) {
  const ChatRequest& chat = now.chat;
  Completion completion;
  completion.content = chat.form == AnswerForm::json
                           ? simulated_json_answer(chat.system_text, chat.user_text, chat.schema)
                           : simulated_answer(chat.system_text, chat.user_text);
  const auto usage_for = [&] {
    return simulated_usage(chat.system_text, chat.user_text, completion.content,
                           script.cached_share);
  };
  completion.finish_reason = now.reply.fate == Fate::content_filter ? "content_filter" : "stop";
  std::int64_t limit = chat.max_tokens.value_or(usage_for().completion_tokens);
  if (now.reply.fate == Fate::length) limit = std::min(limit, usage_for().completion_tokens / 2);
  if (limit < usage_for().completion_tokens) {
    completion.content = std::string(simulated_cut(completion.content, limit));
    now.was_cut = true;
    if (completion.finish_reason == "stop") completion.finish_reason = "length";
    if (now.reply.fate == Fate::answer) now.reply.fate = Fate::length;
  }
  completion.usage = usage_for();
  completion.id =
      "chatcmpl-" + hex(keyed("id", options_.seed, now.times_seen, now.body_digest), 29);
  completion.model = script.base_name;
  completion.created_s = now.line.t_ms / 1000;
  completion.stream = chat.stream;
  completion.usage_in_stream = chat.usage_in_stream;
  now.reply.status = facts(now.reply.fate).status;
  now.reply.usage = completion.usage;
  compose_completion(completion, script, now.reply);
}

void Provider::refuse(Case& now, const Script& script, Fate fate) {
  now.reply.fate = fate;
  now.reply.status = facts(fate).status;
  if (is_answered_at_once(fate)) now.reply.latency = {};
  compose_error(script, now.reply);
  if (fate == Fate::redirect) {
    now.reply.headers.emplace_back("location", fmt::format("http://localhost:{}/elsewhere", port_));
  }
}

void Provider::finish(Case& now) {
  const FateFacts& fact = facts(now.reply.fate);
  now.reply.status = fact.status;
  now.reply.headers.emplace_back("x-request-id", now.line.request_id);
  now.reply.headers.emplace_back("openai-version", "2020-10-01");
  now.reply.headers.emplace_back("openai-processing-ms",
                                 fmt::format("{}", now.reply.latency.count() / 1000));
  now.line.fate = now.reply.fate;
  now.line.status = fact.status;
  if (fact.billed) now.line.billed = now.reply.usage;
  if (fact.answered && !now.was_cut) ++counters_.answered;
  ++counters_.by_fate[std::string(fact.name)];
  log_.write(now.line);
}

}  // namespace docmill::sim
