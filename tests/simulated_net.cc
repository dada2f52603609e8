#include "tests/simulated_net.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace docmill::simulation {
namespace {

HttpReply http(int status, std::string body, std::vector<Header> headers = {}) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  reply.headers = std::move(headers);
  reply.first_byte_ms = 1;
  return reply;
}

HttpReply error(int status, const std::string& fields, std::vector<Header> headers = {}) {
  return http(status, "{\"error\":{" + fields + "}}", std::move(headers));
}

HttpReply broken(Exchange exchange) {
  HttpReply reply;
  reply.exchange = exchange;
  return reply;
}

const char* const kUsage = R"("usage":{"prompt_tokens":10,"completion_tokens":5})";

HttpReply choice(const std::string& inner) {
  return http(200, R"({"model":"m","choices":[{)" + inner + "}]," + kUsage + "}");
}

HttpReply answer(const std::string& model, const std::string& text) {
  const nlohmann::json body = {
      {"model", model},
      {"choices", {{{"finish_reason", "stop"}, {"message", {{"content", model + " on " + text}}}}}},
      {"usage", {{"prompt_tokens", 10}, {"completion_tokens", 5}}}};
  return http(200, body.dump());
}

std::vector<Row> waiting_rows() {
  constexpr Kind kWait = Kind::wait;
  return {
      {"429, seconds", kWait,
       [] {
         return error(429, R"("code":"rate_limit_exceeded")", {{"retry-after", "7"}});
       },
       7000},
      {"429, fraction", kWait,
       [] {
         return error(429, "", {{"retry-after", "0.25"}});
       },
       250},
      {"429, ms", kWait,
       [] {
         return error(429, "", {{"retry-after-ms", "1500"}});
       },
       1500},
      {"429, in words", kWait,
       [] { return error(429, R"("message":"Please try again in 1m4.296s.")"); }, 64296},
      {"429, retryDelay", kWait,
       [] {
         return http(429, R"([{"error":{"status":"RESOURCE_EXHAUSTED",)"
                          R"("details":[{"retryDelay":"17s"}]}}])");
       },
       17000},
      {"429, bare", kWait, [] { return http(429, "slow down"); }},
      {"429, no flex capacity", kWait,
       [] { return error(429, R"("code":"resource_unavailable")"); }},
      {"402, credit in flight", kWait,
       [] {
         return error(402, R"("code":402,"metadata":{"reason":"in_flight_budget_exhausted"})",
                      {{"retry-after", "3"}});
       },
       3000},
      {"no connection", kWait, [] { return broken(Exchange::not_sent); }},
  };
}

std::vector<Row> free_rows() {
  constexpr Kind kFree = Kind::free_try;
  return {
      {"500", kFree, [] { return error(500, R"("type":"server_error")"); }},
      {"502", kFree, [] { return http(502, "<html>bad gateway</html>"); }},
      {"503", kFree, [] { return error(503, R"("message":"Loading model")"); }},
      {"503, seconds", kFree,
       [] {
         return http(503, "", {{"retry-after", "4"}});
       },
       4000},
      {"529", kFree, [] { return error(529, R"("type":"overloaded_error")"); }},
      {"409", kFree, [] { return http(409, ""); }},
      {"424", kFree, [] { return http(424, ""); }},
      {"425", kFree, [] { return http(425, ""); }},
      {"498", Kind::wait, [] { return error(498, R"("code":"capacity_exceeded")"); }},
  };
}

std::vector<Row> costly_rows() {
  constexpr Kind kCostly = Kind::costly_try;
  return {
      {"408", kCostly, [] { return http(408, ""); }},
      {"499", kCostly, [] { return http(499, ""); }},
      {"504", kCostly, [] { return http(504, "<html>"); }},
      {"524", kCostly, [] { return http(524, "<html>"); }},
      {"cut", kCostly, [] { return broken(Exchange::cut); }},
      {"stalled", kCostly, [] { return broken(Exchange::stalled); }},
      {"first byte", kCostly, [] { return broken(Exchange::first_byte_timeout); }},
      {"deadline", kCostly, [] { return broken(Exchange::deadline); }},
      {"resend stopped", kCostly, [] { return broken(Exchange::resend_stopped); }},
      {"oversize", kCostly, [] { return broken(Exchange::oversize); }},
      {"bad encoding", kCostly, [] { return broken(Exchange::bad_encoding); }},
      {"200, blank", kCostly, [] { return http(200, "\n\n\n"); }},
      {"200, half", kCostly, [] { return http(200, "{\"choices\":[{"); }},
      {"200, error", kCostly, [] { return http(200, R"({"error":{"code":502}})"); }},
      {"200, no choices", kCostly, [] { return http(200, R"({"choices":[]})"); }},
      {"200, no content", kCostly,
       [] { return choice(R"("finish_reason":"stop","message":{"content":null})"); }},
      {"200, unknown end", kCostly,
       [] { return choice(R"("finish_reason":"aborted","message":{"content":"x"})"); }},
      {"200, no resources", kCostly,
       [] {
         return choice(R"("finish_reason":"insufficient_system_resource",)"
                       R"("message":{"content":"x"})");
       }},
      {"200, wrong types", kCostly,
       [] { return http(200, R"({"choices":{"message":7},"usage":"much"})"); }},
  };
}

}  // namespace

const std::vector<Row>& passing_rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> rows = waiting_rows();
    for (const Row& row : free_rows()) rows.push_back(row);
    for (const Row& row : costly_rows()) rows.push_back(row);
    return rows;
  }();
  return all;
}

const std::vector<Fate>& fates() {
  static const std::vector<Fate> all = {
      {"answers", nullptr, "", false, 1},
      {"400, policy", [] { return error(400, R"("code":"content_filter")"); }, "content_policy",
       false, 1},
      {"400, risk", [] { return error(400, R"("message":"Content Exists Risk")"); },
       "content_policy", false, 1},
      {"403, flagged",
       [] { return error(403, R"("metadata":{"flagged_input":"x","reasons":["y"]})"); },
       "content_policy", false, 1},
      {"200, filtered",
       [] { return choice(R"("finish_reason":"content_filter","message":{"content":""})"); },
       "refused", false, 1},
      {"200, refusal",
       [] { return choice(R"("finish_reason":"stop","message":{"refusal":"I cannot"})"); },
       "refused", false, 1},
      {"400, context",
       [] { return error(400, R"("message":"maximum context length is 10 tokens")"); }, "too_long",
       false, 1},
      {"413", [] { return http(413, ""); }, "too_long", false, 1},
      {"429, never fits",
       [] {
         return error(429, R"("type":"tokens","message":"Request too large: Limit 30000, )"
                           R"(Requested 34102")");
       },
       "too_long", false, 1},
      {"200, length",
       [] { return choice(R"("finish_reason":"length","message":{"content":"half"})"); },
       "truncated", false, 2},
      {"500, always", [] { return error(500, ""); }, "server_error", false, 5},
      {"cut, always", [] { return broken(Exchange::cut); }, "cut", false, 2},
      {"400", [] { return error(400, R"("type":"invalid_request_error")"); }, "bad_request", true,
       1},
      {"422", [] { return http(422, R"({"detail":"bad"})"); }, "bad_request", true, 1},
      {"418", [] { return http(418, "teapot"); }, "bad_request", true, 1},
  };
  return all;
}

const std::vector<Outage>& outages() {
  static const std::vector<Outage> all = {
      {"401", [] { return error(401, R"("code":"invalid_api_key")"); }},
      {"402", [] { return error(402, R"("message":"Insufficient Balance")"); }},
      {"429, money", [] { return error(429, R"("code":"insufficient_quota")"); }},
      {"400, money", [] { return error(400, R"("message":"credit balance is too low")"); }},
      {"403", [] { return error(403, R"("message":"region")"); }},
      {"404", [] { return error(404, R"("code":"model_not_found")"); }},
      {"302",
       [] {
         return http(302, "", {{"location", "http://elsewhere/"}});
       }},
      {"certificate", [] { return broken(Exchange::certificate); }},
      {"down", [] { return broken(Exchange::not_sent); }},
  };
  return all;
}

void Net::add(const std::string& text, const std::map<std::string, const Fate*>& by_model) {
  for (const auto& [model, fate] : by_model) {
    Script script;
    script.fate = fate;
    int free_left = 3;
    int costly_left = 1;
    for (int i = static_cast<int>(random_() % 5); i > 0; --i) {
      const Row& row = passing_rows()[random_() % passing_rows().size()];
      if (row.kind == Kind::free_try && free_left-- <= 0) continue;
      if (row.kind == Kind::costly_try && costly_left-- <= 0) continue;
      script.rows.push_back(&row);
    }
    scripts_[{text, model}] = std::move(script);
  }
}

// What costs a try leaves fewer for the fate: of five in all, and of two that may be billed.
std::vector<std::string> Net::foretold(const std::string& text, const std::string& model) const {
  const Script& script = scripts_.at({text, model});
  std::vector<std::string> names;
  int tried = 0;
  int costly = 0;
  for (const Row* row : script.rows) {
    if (row->name != std::string("no connection")) names.emplace_back(row->name);
    if (row->kind != Kind::wait) ++tried;
    if (row->kind == Kind::costly_try) ++costly;
  }
  const Fate& fate = *script.fate;
  int times = fate.tries;
  if (fate.name == std::string("500, always")) times = 5 - tried;
  if (fate.name == std::string("cut, always")) times = std::min(2 - costly, 5 - tried);
  for (int i = 0; i < std::max(times, 1); ++i) {
    names.emplace_back(fate.make == nullptr ? "answered" : fate.name);
  }
  return names;
}

void Net::begin_outage(const std::string& model, std::int64_t until_ms) {
  down_[model] = {&outages()[random_() % outages().size()], until_ms};
}

HttpReply Net::reply_to(const HttpRequest& request, std::int64_t now_ms, std::int64_t& due_ms) {
  const auto body = nlohmann::json::parse(request.body);
  const auto text = body.at("messages").back().at("content").get<std::string>();
  Script& script = scripts_.at({text, request.model});
  due_ms = now_ms + 1 + static_cast<std::int64_t>(random_() % 3000);
  const char* name = "answered";
  std::int64_t rest_ms = 0;
  HttpReply reply;
  const auto down = down_.find(request.model);
  if (down != down_.end() && !faults_stopped_ && now_ms < down->second.until_ms) {
    name = down->second.outage->name;
    reply = down->second.outage->make();
  } else if (!faults_stopped_ && script.asked < script.rows.size()) {
    const Row& row = *script.rows[script.asked++];
    name = row.name;
    rest_ms = row.rest_ms;
    reply = row.make();
  } else if (script.fate->make != nullptr) {
    name = script.fate->name;
    reply = script.fate->make();
  } else {
    reply = answer(request.model, text);
  }
  ++rows_seen[name];
  for (const Rest& rest : rests_[request.model]) {
    if (now_ms > rest.from_ms && now_ms < rest.until_ms) {
      broken_rest = request.model + " was asked while it had asked to wait";
    }
  }
  if (rest_ms > 0) rests_[request.model].push_back({due_ms, due_ms + rest_ms});
  if (reply.exchange != Exchange::not_sent && reply.exchange != Exchange::certificate) {
    sent.push_back(
        {request.attempt.value, request.model, text, name, name == std::string("answered")});
  }
  reply.received_at_ms = due_ms;
  reply.total_ms = due_ms - now_ms;
  return reply;
}

void NetTransport::start(HttpRequest request) {
  std::int64_t due_ms = 0;
  HttpReply reply = net_.reply_to(request, clock_.now, due_ms);
  fly(std::move(request), std::move(reply), due_ms);
  if (net_.dies_after_sends > 0 && --net_.dies_after_sends == 0) throw Died{};
}

}  // namespace docmill::simulation
