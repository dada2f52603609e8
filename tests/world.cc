#include "tests/world.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "base/file.h"
#include "base/sha256.h"
#include "report/cost_report.h"
#include "store/packed.h"
#include "store/report_reader.h"
#include "tasks/new_job.h"
#include "tasks/task.h"

namespace docmill {
namespace {

constexpr int kMostTurns = 20'000;

std::string answer_body(const std::string& model, const std::string& text) {
  const nlohmann::json body = {
      {"model", model},
      {"choices",
       {{{"finish_reason", "stop"},
         {"message", {{"role", "assistant"}, {"content", "answer to " + text}}}}}},
      {"usage", {{"prompt_tokens", 10}, {"completion_tokens", 5}}}};
  return body.dump();
}

}  // namespace

Scratch::Scratch(const std::filesystem::path& parent) {
  const std::filesystem::path folder =
      std::filesystem::is_directory(parent) ? parent : std::filesystem::temp_directory_path();
  std::string pattern = (folder / "docmill-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path = std::filesystem::canonical(pattern);
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::string kept_text(SQLite::Column body) {
  return body.isBlob() ? unpacked(body.getString()).value() : body.getString();
}

void pretend_reboot(const std::filesystem::path& store) {
  const auto boot = read_file("/proc/sys/kernel/random/boot_id", 100).value().substr(0, 36);
  const std::filesystem::path path = store.string() + ".worker";
  std::string record = read_file(path, 1000).value();
  const std::size_t at = record.find(boot);
  if (at == std::string::npos) throw std::runtime_error("no boot id in " + path.string());
  record.replace(at, boot.size(), std::string(boot.size(), '0'));
  std::ofstream(path, std::ios::binary) << record;
}

void ScriptedProvider::script(const std::string& model, std::vector<int> statuses) {
  scripts_[model] = std::move(statuses);
  asked_[model] = 0;
}

void ScriptedProvider::set_body(const std::string& model, std::string body) {
  bodies_[model] = std::move(body);
}

void ScriptedProvider::set_header(const std::string& model, std::string name, std::string value) {
  headers_[model].push_back({std::move(name), std::move(value)});
}

void ScriptedProvider::set_error(int status, std::string body) {
  errors_[status] = std::move(body);
}

std::string ScriptedProvider::transcript() const {
  std::string text;
  for (const Sent& one : sent) {
    const std::string status = one.status == -1   ? "cut"
                               : one.status == -2 ? "no connection"
                               : one.status == -3 ? "too slow"
                                                  : std::to_string(one.status);
    text += fmt::format("{} {} {}\n", clock_time(one.at_ms), one.model, status);
  }
  return text;
}

HttpReply ScriptedProvider::reply_to(const HttpRequest& request, std::int64_t now_ms) {
  const auto& statuses = scripts_[request.model];
  const std::size_t n = asked_[request.model]++;
  const auto body = nlohmann::json::parse(request.body);
  const auto text = body.at("messages").back().at("content").get<std::string>();
  int status = statuses.empty() ? 200 : statuses[std::min(n, statuses.size() - 1)];
  if (const auto own = status_of.find(text); own != status_of.end()) status = own->second;
  if (status != -2) {
    sent.push_back({request.attempt.value, request.model, text, status, now_ms});
    bodies.push_back(request.body);
    max_latency_ms.push_back(request.max_latency_ms.value_or(0));
  }
  HttpReply reply;
  reply.received_at_ms = now_ms + latency_ms;
  reply.total_ms = latency_ms;
  reply.headers = headers_[request.model];
  if (status == -1) reply.exchange = Exchange::cut;
  if (status == -2) reply.exchange = Exchange::not_sent;
  if (status == -3) reply.exchange = Exchange::too_slow;
  if (status < 0) return reply;
  reply.status = status;
  reply.first_byte_ms = latency_ms;
  if (status == 200) {
    const auto own = bodies_.find(request.model);
    reply.body = own != bodies_.end() ? own->second : answer_body(request.model, text);
  } else {
    const auto own = errors_.find(status);
    reply.body = own != errors_.end() ? own->second : R"({"error":{"message":"scripted"}})";
  }
  return reply;
}

void ScriptedTransport::start(HttpRequest request) {
  HttpReply reply = provider_.reply_to(request, clock_.now);
  fly(std::move(request), std::move(reply), clock_.now + provider_.latency_ms);
  if (provider_.dies_after_sends > 0 && --provider_.dies_after_sends == 0) throw Died{};
}

void FakeTransport::fly(HttpRequest request, HttpReply reply, std::int64_t due_ms) {
  flying_.emplace(due_ms, Flying{std::move(request), std::move(reply)});
}

void FakeTransport::cancel(AttemptId attempt) {
  for (auto it = flying_.begin(); it != flying_.end(); ++it) {
    if (it->second.request.attempt != attempt) continue;
    Flying cut = std::move(it->second);
    cut.reply.exchange = Exchange::aborted;
    flying_.erase(it);
    flying_.emplace(clock_.now, std::move(cut));
    return;
  }
}

std::vector<Received> FakeTransport::take_received() {
  std::vector<Received> received;
  while (!flying_.empty() && flying_.begin()->first <= clock_.now) {
    Flying& landed = flying_.begin()->second;
    received.push_back(read_reply(landed.request, std::move(landed.reply), Secret()));
    flying_.erase(flying_.begin());
  }
  return received;
}

void FakeTransport::wait(std::int64_t until_ms) {
  std::int64_t to_ms = std::min(until_ms, clock_.now + 3'600'000);
  if (!flying_.empty()) to_ms = std::min(to_ms, flying_.begin()->first);
  clock_.now = std::max(clock_.now, to_ms);
}

WorkerTest::WorkerTest() : store(scratch.path / "test.db") {
  Provider& provider = providers["p"];
  provider.name = "p";
  provider.base_url = "http://127.0.0.1:1/v1";
  for (const auto& [key, price] : {std::pair{"large", 10}, std::pair{"small", 1}}) {
    Model& model = models[key];
    model.key = model.name = key;
    model.provider = "p";
    model.price = ModelPrice{price, price, price, price};
  }
  options.drain = true;
  options.policy.retry_base_ms = 1000;
  create_or_migrate(store);
}

WorkerTest::~WorkerTest() = default;

void WorkerTest::submit(const std::vector<std::string>& texts, const std::string& batch) {
  Database db(store, Access::read_write, plain_commit_);
  JobQueue queue(db, clock, options.policy);
  BatchSpec spec = make_spec(task, {});
  spec.routes = {{"default", chain}};
  spec.brake = brake;
  Batch wanted;
  wanted.name = batch;
  wanted.task = spec.task;
  wanted.tenant = "default";
  wanted.spec = to_json_text(spec);
  wanted.cap_pusd = cap_pusd;
  const BatchId id = queue.open_batch_in_transaction(wanted).id;
  std::vector<NewJob> jobs;
  for (const std::string& text : texts) {
    Document document;
    document.id = fmt::format("d{}", jobs.size() + 1);
    document.source = "test";
    document.text = text;
    jobs.push_back(new_job(std::move(document), 0, 0));
  }
  queue.add_in_transaction(id, jobs);
  queue.seal_in_transaction(id);
}

WorkerTest::Life::Life(WorkerTest& test, Commit& commit)
    : lock(WorkerLock::take(test.store)),
      db(test.store, Access::read_write, commit),
      transport(test.net, test.clock),
      worker(db, lock.value(), test.clock, transport, {test.providers, test.models, {}},
             test.options) {}

WorkerTest::Life::~Life() = default;

std::unique_ptr<WorkerTest::Life> WorkerTest::start_life(Commit& commit) {
  return std::make_unique<Life>(*this, commit);
}

void WorkerTest::run_until_idle() {
  const auto life = start_life(plain_commit_);
  int turns = 0;
  life->worker.run([&] {
    if (++turns > kMostTurns) throw std::runtime_error("the worker does not come to an end");
  });
}

bool WorkerTest::live_until_death(Commit& commit) {
  try {
    const auto life = start_life(commit);
    int turns = 0;
    life->worker.run([&] {
      if (++turns > kMostTurns) throw std::runtime_error("the worker does not come to an end");
    });
  } catch (const Died&) {
    return true;
  }
  return false;
}

std::string WorkerTest::state(const std::string& id, const std::string& name) {
  Database db(store, Access::read_only, plain_commit_);
  StoreReader reader(db);
  std::string state;
  reader.each_result(batch(name).id, id, [&](const ResultRow& row) { state = row.state; });
  return state;
}

std::string WorkerTest::output(const std::string& id, const std::string& name) {
  Database db(store, Access::read_only, plain_commit_);
  StoreReader reader(db);
  std::string output;
  reader.each_result(batch(name).id, id,
                     [&](const ResultRow& row) { output = row.output.value_or(""); });
  return output;
}

BatchMoney WorkerTest::money(const std::string& name) {
  Database db(store, Access::read_only, plain_commit_);
  return StoreReader(db).money(batch(name).id);
}

std::vector<AttemptRow> WorkerTest::attempts(const std::string& name) {
  Database db(store, Access::read_only, plain_commit_);
  std::vector<AttemptRow> rows;
  ReportReader(db).each_attempt(batch(name).id,
                                [&](const AttemptRow& row) { rows.push_back(row); });
  return rows;
}

Batch WorkerTest::batch(const std::string& name) {
  Database db(store, Access::read_only, plain_commit_);
  return StoreReader(db).batch(name).value();
}

JobCounts WorkerTest::counts(const std::string& name) {
  Database db(store, Access::read_only, plain_commit_);
  return StoreReader(db).counts(batch(name).id);
}

std::string report_disagreement(const std::filesystem::path& store) {
  SqliteCommit commit;
  Database db(store, Access::read_only, commit);
  std::string wrong;
  for (const Batch& batch : StoreReader(db).batches()) {
    std::map<std::string, std::string> totals;  // by what the rows are of
    for (const char* by : {"batch", "job"}) {
      LedgerSource source(db, {batch});
      const Figures sum = CostReport(source, {parse_groups(by), {}, {}, {}}).totals();
      totals[by] = fmt::format(
          "documents {} done {} failed {} sent {} fallen back {} reused {} saved {} requests {} "
          "retries {} fallbacks {} tokens {} {} cost {} possible {} unknown {} unpriced {} ms {}",
          sum.jobs, sum.done, sum.failed, sum.sent_jobs, sum.fallen_back_jobs, sum.reused,
          sum.saved_pusd, sum.requests, sum.retries, sum.fallbacks, sum.tokens.input_tokens(),
          sum.tokens.output_tokens, sum.cost_pusd, sum.possible_pusd, sum.unknown_requests,
          sum.unpriced_requests, sum.latencies.sum_ms());
    }
    if (totals["batch"] == totals["job"]) continue;
    wrong +=
        fmt::format("{}: counted {}, by document {}\n", batch.name, totals["batch"], totals["job"]);
  }
  return wrong;
}

std::string WorkerTest::broken_invariant() {
  const Batch row = batch();
  std::map<std::int64_t, AttemptRow> ledger;
  std::int64_t spent_pusd = 0;
  std::int64_t reserved_pusd = 0;
  std::map<std::int64_t, int> open_of_job;
  std::set<std::int64_t> jobs;   // documents, and pieces of them
  std::int64_t unexplained = 0;  // attempts that did not end in a result
  for (const AttemptRow& attempt : attempts()) {
    ledger[attempt.id.value] = attempt;
    jobs.insert(attempt.job.value);
    spent_pusd += attempt.cost_pusd.value_or(0);
    if (attempt.is_open || attempt.cost_basis == "unknown") {
      reserved_pusd += attempt.ceiling_pusd.value_or(0);
    }
    if (attempt.is_open && ++open_of_job[attempt.job.value] > 1) return "two open attempts";
    if (attempt.outcome != "answered") ++unexplained;
  }
  for (const auto& sent : net.sent) {
    if (!ledger.contains(sent.attempt)) return "a request without a ledger row";
  }
  if (row.spent_pusd != spent_pusd) return "spent is not the sum of costs";
  if (row.reserved_pusd != reserved_pusd) return "reserved is not the sum of ceilings";
  if (row.cap_pusd && spent_pusd + reserved_pusd > *row.cap_pusd) return "the cap was passed";
  const auto explained = static_cast<std::int64_t>(jobs.size()) + unexplained;
  if (static_cast<std::int64_t>(net.sent.size()) > explained) {
    return "requests that no attempt accounts for";
  }
  return "";
}

}  // namespace docmill
