// Every way in which a request can end, from the reply to what is done about it: what providers
// send, what it costs, and where the job goes the first time, when it happens again on the same
// model, and when nothing is left to try. Written by hand, row by row.

#include "llm/reply.h"
#include "queue/policy.h"
#include "tests/catch.h"

using namespace docmill;

namespace {

constexpr std::int64_t kNow = 1'000'000;

HttpReply http(int status, std::string body = "", std::vector<Header> headers = {}) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  reply.headers = std::move(headers);
  reply.received_at_ms = kNow;
  return reply;
}

HttpReply error(int status, const std::string& fields, std::vector<Header> headers = {}) {
  return http(status, "{\"error\":{" + fields + "}}", std::move(headers));
}

HttpReply choice(const std::string& inner) {
  return http(200, R"({"model":"m","choices":[{)" + inner +
                       R"(}],"usage":{"prompt_tokens":10,"completion_tokens":5}})");
}

HttpReply broken(Exchange exchange) {
  HttpReply reply;
  reply.exchange = exchange;
  return reply;
}

// What is done. The letters are those of the taxonomy's table.
enum class Action {
  done,
  wait,            // L + R: again, at no try
  retry,           // R: again, until max_tries
  retry_once,      // R1: again once, then the next model
  raise,           // S: again with a longer answer, then the next model
  larger,          // S or F: to a model with a larger context
  other_vendor,    // F, and never the same vendor if there is another
  next,            // F
  fail,            // J
  pause_model,     // PP for that model; the job goes on or goes back
  pause_provider,  // PP
};

// What the job meets on the first of three models, and on the last.
struct Course {
  Move first;
  Move again;  // after as many as are retried
  Move last;   // when the chain is at its end, too
  Pauses pauses = Pauses::nothing;
  int goes_to = 1;  // the place on the chain, if it falls back
};

Course course_of(Action action) {
  switch (action) {
    case Action::done:
      return {Move::done, Move::done, Move::done};
    case Action::wait:
      return {Move::retry, Move::retry, Move::retry};
    case Action::retry:
    case Action::retry_once:
    case Action::raise:
      return {Move::retry, Move::fall_back, Move::fail};
    case Action::larger:
      return {Move::fall_back, Move::fall_back, Move::fail, Pauses::nothing, 2};
    case Action::other_vendor:
      return {Move::fall_back, Move::fall_back, Move::fail, Pauses::nothing, 2};
    case Action::next:
      return {Move::fall_back, Move::fall_back, Move::fail};
    case Action::fail:
      return {Move::fail, Move::fail, Move::fail};
    case Action::pause_model:
      return {Move::give_back, Move::give_back, Move::give_back, Pauses::model};
    case Action::pause_provider:
      return {Move::give_back, Move::give_back, Move::give_back, Pauses::provider};
  }
  return {Move::fail, Move::fail, Move::fail};
}

struct Row {
  const char* signal;
  HttpReply reply;
  Action action;
  const char* cost_basis;
  bool rests_lane = false;
};

void check_row(const Row& row, const Provider& provider = {}) {
  INFO(row.signal);
  const DecodedReply decoded = decode_reply(row.reply, provider);
  const PriceRow price{PriceId{1}, ModelPrice{1, 1, 1, 1}};
  CHECK(settlement_of(decoded, row.reply, {price}).cost_basis == row.cost_basis);
  const Course course = course_of(row.action);
  JobFacts job;
  job.chain_length = 3;
  job.larger_position = job.other_vendor_position = 2;
  job.can_raise = row.action == Action::raise;
  const auto decided = [&] { return decide(job, decoded.outcome, {}, kNow, 0.5); };

  const Decision first = decided();
  CHECK(first.move == course.first);
  CHECK(first.pauses == course.pauses);
  CHECK((first.lane_rests_until_ms > kNow) == row.rests_lane);
  CHECK(first.raises_limit == job.can_raise);
  if (first.move == Move::fall_back) CHECK(first.position == course.goes_to);

  job.can_raise = false;
  // Retried to the last try, or once if it may have been billed.
  job.tries = row.action == Action::retry_once ? 1 : 4;
  job.unsure = row.action == Action::retry_once ? 1 : 0;
  CHECK(decided().move == course.again);

  job.chain_position = 2;
  job.larger_position = job.other_vendor_position = std::nullopt;
  CHECK(decided().move == course.last);
}

constexpr const char* kZero = "zero";
constexpr const char* kUnknown = "unknown";
constexpr const char* kUsage = "usage";

}  // namespace

TEST_CASE("taxonomy: a 200") {
  const std::string text = R"("message":{"content":"x"})";
  for (const Row& row : {
           Row{"an answer", choice(R"("finish_reason":"stop",)" + text), Action::done, kUsage},
           Row{"top-level error, without tokens", error(200, R"("message":"upstream failed")"),
               Action::retry_once, kUnknown},
           Row{"top-level error with a code", error(200, R"("code":429,"message":"slow")"),
               Action::wait, kZero},
           Row{"white space, then the end", http(200, "\n\n \n"), Action::retry_once, kUnknown},
           Row{"half of a JSON", http(200, R"({"choices":[{"mess)"), Action::retry_once, kUnknown},
           Row{"no choices", http(200, R"({"choices":[]})"), Action::retry_once, kUnknown},
           Row{"content null", choice(R"("finish_reason":"stop","message":{"content":null})"),
               Action::retry_once, kUsage},
           Row{"length", choice(R"("finish_reason":"length",)" + text), Action::raise, kUsage},
           Row{"length, all of it reasoning",
               choice(R"("finish_reason":"length","message":{"content":"","reasoning":"hm"})"),
               Action::raise, kUsage},
           Row{"content_filter", choice(R"("finish_reason":"content_filter",)" + text),
               Action::other_vendor, kUsage},
           Row{"message.refusal",
               choice(R"("finish_reason":"stop","message":{"content":null,"refusal":"no"})"),
               Action::other_vendor, kUsage},
           Row{"insufficient_system_resource",
               choice(R"("finish_reason":"insufficient_system_resource",)" + text),
               Action::retry_once, kUsage},
       }) {
    check_row(row);
  }
}

TEST_CASE("taxonomy: an answer that is not what the task asked for") {
  Outcome outcome;
  outcome.ending = Ending::invalid_output;
  outcome.was_billed = true;
  JobFacts job;
  job.chain_length = 2;
  CHECK(decide(job, outcome, {}, kNow, 0).move == Move::retry);
  job.tries = job.unsure = 1;
  CHECK(decide(job, outcome, {}, kNow, 0).move == Move::fall_back);
  job.chain_position = 1;
  CHECK(decide(job, outcome, {}, kNow, 0).move == Move::fail);
}

TEST_CASE("taxonomy: 400 to 499, but 429") {
  for (const Row& row : {
           Row{"400 context_length_exceeded", error(400, R"("code":"context_length_exceeded")"),
               Action::larger, kZero},
           Row{"400 prompt is too long",
               error(400, R"("message":"prompt is too long: 210000 tokens > 200000 maximum")"),
               Action::larger, kZero},
           Row{"400 unsupported_parameter", error(400, R"("code":"unsupported_parameter")"),
               Action::pause_model, kZero},
           Row{"400 credit balance",
               error(400, R"("message":"Your credit balance is too low to access")"),
               Action::pause_provider, kZero},
           Row{"400 usage limits",
               error(400, R"("message":"You have reached your specified API usage limits")"),
               Action::pause_provider, kZero},
           Row{"400 FAILED_PRECONDITION", error(400, R"("status":"FAILED_PRECONDITION")"),
               Action::pause_provider, kZero},
           Row{"400 API_KEY_INVALID",
               error(400,
                     R"("status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}])"),
               Action::pause_provider, kZero},
           Row{"400 content_filter", error(400, R"("code":"content_filter")"), Action::other_vendor,
               kZero},
           Row{"400 Content Exists Risk", error(400, R"("message":"Content Exists Risk")"),
               Action::other_vendor, kZero},
           Row{"400, any other", error(400, R"("type":"invalid_request_error")"), Action::fail,
               kZero},
           Row{"401", error(401, R"("code":"invalid_api_key")"), Action::pause_provider, kZero},
           Row{"402", error(402, R"("message":"Insufficient Balance")"), Action::pause_provider,
               kZero},
           Row{"402, held for requests in flight",
               error(402, R"("metadata":{"reason":"in_flight_budget_exhausted"})",
                     {{"retry-after", "3"}}),
               Action::wait, kZero, true},
           Row{"402, its answer's limit alone is too dear",
               error(402, R"("metadata":{"reason":"weight_exceeds_budget"})"), Action::larger,
               kZero},
           Row{"403, account", error(403, R"("type":"permission_error")"), Action::pause_model,
               kZero},
           Row{"403, content", error(403, R"("metadata":{"reasons":["violence"]})"),
               Action::other_vendor, kZero},
           Row{"404", error(404, R"("code":"model_not_found")"), Action::pause_model, kZero},
           Row{"408", http(408), Action::retry_once, kUnknown},
           Row{"409", http(409), Action::retry, kZero},
           Row{"413", http(413), Action::larger, kZero},
           Row{"422", http(422, R"({"detail":"bad"})"), Action::fail, kZero},
           Row{"422, a parameter", error(422, R"("code":"unsupported_parameter")"), Action::fail,
               kZero},
           Row{"424", http(424), Action::retry, kZero},
           Row{"425", http(425), Action::retry, kZero},
           Row{"498", http(498), Action::wait, kZero},
           Row{"499", http(499), Action::retry_once, kUnknown},
           Row{"any other 4xx", http(418), Action::fail, kZero},
       }) {
    check_row(row);
  }
}

TEST_CASE("taxonomy: the three 429s") {
  for (const Row& row : {
           Row{"money", error(429, R"("code":"insufficient_quota")"), Action::pause_provider,
               kZero},
           Row{"money, Anthropic's",
               error(429, R"("details":{"error_code":"enforced_spend_limit_reached"})"),
               Action::pause_provider, kZero},
           Row{"never fits", error(429, R"("message":"Request too large for gpt-4o")"),
               Action::larger, kZero},
           Row{"never fits, by its numbers",
               error(429, R"("message":"Limit 30000, Requested 34102")"), Action::larger, kZero},
           Row{"rate", error(429, R"("code":"rate_limit_exceeded")", {{"retry-after", "7"}}),
               Action::wait, kZero, true},
           Row{"rate, in words", error(429, R"("message":"Please try again in 4.2s")"),
               Action::wait, kZero, true},
           Row{"rate, per day", error(429, R"("message":"requests per day (RPD): Limit 10000")"),
               Action::wait, kZero, true},
           Row{"slow_down", error(429, R"("code":"slow_down")"), Action::wait, kZero},
           Row{"no flex capacity", error(429, R"("code":"resource_unavailable")"), Action::wait,
               kZero},
           Row{"DeepSeek's, without a word", http(429), Action::wait, kZero},
           Row{"Gemini's",
               error(429, R"("status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"17s"}])"),
               Action::wait, kZero, true},
       }) {
    check_row(row);
  }
}

TEST_CASE("taxonomy: 5xx and 3xx") {
  for (const Row& row : {
           Row{"500", error(500, R"("type":"server_error")"), Action::retry, kZero},
           Row{"502", http(502, "<html>"), Action::retry, kZero},
           Row{"503", error(503, R"("message":"Loading model")"), Action::retry, kZero},
           Row{"503 with a time", http(503, "", {{"retry-after", "4"}}), Action::retry, kZero,
               true},
           Row{"504", http(504, "<html>"), Action::retry_once, kUnknown},
           Row{"520", http(520), Action::retry_once, kUnknown},
           Row{"527", http(527), Action::retry_once, kUnknown},
           Row{"529, whose time is one request's", http(529, "", {{"retry-after", "4"}}),
               Action::retry, kZero},
           Row{"302", http(302, "", {{"location", "http://elsewhere/"}}), Action::pause_provider,
               kZero},
       }) {
    check_row(row);
  }
  Provider billing;
  billing.bills_errors = true;
  check_row({"500 where errors are billed", http(500), Action::retry_once, kUnknown}, billing);
}

TEST_CASE("taxonomy: what the network says") {
  for (const Row& row : {
           Row{"no name, no connection, no handshake", broken(Exchange::not_sent), Action::wait,
               kZero},
           Row{"certificate", broken(Exchange::certificate), Action::pause_provider, kZero},
           Row{"no first byte", broken(Exchange::first_byte_timeout), Action::retry_once, kUnknown},
           Row{"stalled", broken(Exchange::stalled), Action::retry_once, kUnknown},
           Row{"deadline", broken(Exchange::deadline), Action::retry_once, kUnknown},
           Row{"cut", broken(Exchange::cut), Action::retry_once, kUnknown},
           Row{"libcurl would have sent it again", broken(Exchange::resend_stopped),
               Action::retry_once, kUnknown},
           Row{"too long a reply", broken(Exchange::oversize), Action::retry_once, kUnknown},
           Row{"does not decompress", broken(Exchange::bad_encoding), Action::retry_once, kUnknown},
           Row{"max_latency", broken(Exchange::too_slow), Action::next, kUnknown},
       }) {
    if (row.action != Action::next) {
      check_row(row);
      continue;
    }
    // At the chain's end there is nobody faster: it is retried as other cut requests are.
    JobFacts job;
    job.chain_length = 2;
    const Outcome outcome = decode_reply(row.reply, {}).outcome;
    CHECK(decide(job, outcome, {}, kNow, 0).move == Move::fall_back);
    job.chain_position = 1;
    CHECK(decide(job, outcome, {}, kNow, 0).move == Move::retry);
    job.tries = job.unsure = 1;
    CHECK(decide(job, outcome, {}, kNow, 0).move == Move::fail);
  }
  JobFacts job;
  const Outcome aborted = decode_reply(broken(Exchange::aborted), {}).outcome;
  CHECK(decide(job, aborted, {}, kNow, 0).move == Move::give_back);
}
