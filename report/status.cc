#include "report/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "report/table.h"

namespace docmill {
namespace {

using nlohmann::ordered_json;

// Over this the rate is measured.
constexpr std::int64_t kRateWindowMs = 60'000;
// With less free a worker commits nothing.
constexpr std::uintmax_t kFullDiskBytes = 1 << 20;

struct PublishedWait {
  std::string reason;
  std::int64_t until_ms = 0;
};

std::optional<PublishedWait> published_wait(const std::optional<WorkerRow>& worker,
                                            const std::string& batch) {
  if (!worker) return std::nullopt;
  const auto waits = parse_json(worker->waits);
  if (!waits || !waits->is_object() || !waits->contains(batch)) return std::nullopt;
  const auto& wait = waits->at(batch);
  return PublishedWait{wait.value("reason", std::string()), wait.value("until", std::int64_t{0})};
}

// What somebody has to do before a paused provider is asked again; empty: that alone.
std::string remedy(const ProviderPause& pause) {
  const auto is = [&](const char* cause) { return pause.reason.starts_with(cause); };
  if (is("out of credit")) return "add credit at " + pause.key + ", then ";
  if (is("its key"))
    return "mend the key of " + pause.key + ", reload or restart the worker, then ";
  if (is("it redirects"))
    return "mend the base_url of " + pause.key + ", reload or restart the worker, then ";
  if (is("the model is not there") || is("it refuses a parameter")) {
    return "mend " + pause.key + " in the config, reload or restart the worker, then ";
  }
  return "";
}

// "openai paused: out of credit (asked again at 10:01 UTC)": where it is not over at once.
std::string with_time(const BatchWait& wait, std::int64_t now_ms) {
  constexpr std::int64_t kSoonMs = 20'000;
  if (!wait.until_ms || *wait.until_ms < now_ms + kSoonMs) return wait.reason;
  const bool is_pause = wait.reason.find(" paused: ") != std::string::npos;
  const std::string at = *wait.until_ms < now_ms + 12 * 3'600'000
                             ? clock_time(*wait.until_ms).substr(0, 5)
                             : short_time(*wait.until_ms);
  return fmt::format("{} ({} {} UTC)", wait.reason, is_pause ? "asked again at" : "until", at);
}

void add_rate(BatchStatus& status, StoreReader& reader, bool has_worker, std::int64_t now_ms) {
  const std::int64_t window_ms =
      std::clamp<std::int64_t>(now_ms - status.batch.created_at_ms, 1000, kRateWindowMs);
  const std::int64_t answers = reader.answers_since(status.batch.id, now_ms - window_ms);
  status.rate_per_minute = static_cast<double>(answers) * 60'000 / static_cast<double>(window_ms);
  const std::int64_t left = status.counts.queued() + status.counts.running;
  if (has_worker && status.state == "running" && left > 0 && status.rate_per_minute > 0) {
    status.eta_seconds =
        static_cast<std::int64_t>(static_cast<double>(left) * 60 / status.rate_per_minute);
  }
}

// What the worker said of the batch. Of one that has ended, only what outlives it: a pause.
void add_published_wait(BatchStatus& status, const std::optional<WorkerRow>& worker,
                        const std::vector<ProviderPause>& pauses, bool has_worker,
                        std::int64_t now_ms) {
  const auto wait = published_wait(worker, status.batch.name);
  if (!wait || status.counts.ready == 0) return;
  std::string step;
  for (const ProviderPause& pause : pauses) {
    if (wait->reason.starts_with(pause.key + " paused")) {
      step = fmt::format("{}docmill resume --provider {}", remedy(pause), pause.key);
    }
  }
  if (step.empty() && wait->reason.find(" paused: ") != std::string::npos) {
    step = "mend that, then start the worker again";  // no row: it is no provider's word
  }
  // A dead worker's word stands where it names a person's task or a time that has not come.
  if (!has_worker && step.empty() && wait->until_ms <= now_ms) return;
  status.waits.push_back({wait->reason, status.counts.ready,
                          wait->until_ms > 0 ? std::optional(wait->until_ms) : std::nullopt, step});
  status.bound_by = with_time(status.waits.back(), now_ms);
  // At the rate of the last minute nothing can be foretold of a batch that stands still.
  constexpr std::int64_t kStandstillMs = 120'000;
  if (!step.empty() || wait->until_ms > now_ms + kStandstillMs) status.eta_seconds.reset();
}

bool is_held_by_cap(const BatchStatus& status) {
  return status.held_reason.starts_with("its cap");
}

// " --max-cost 6.00": enough for the rest at what a byte of text has cost so far and a tenth more,
// for near its cap a batch does the small ones first; and room for the last one's ceiling.
std::string needed_cap(const BatchStatus& status) {
  const std::string& reason = status.held_reason;
  constexpr std::string_view kFlag = " --max-cost ";
  const std::size_t flag = reason.find(kFlag);
  if (flag == std::string::npos) return "";
  const std::size_t start = flag + kFlag.size();
  const auto least_pusd = parse_usd(reason.substr(start, reason.find(' ', start) - start));
  if (!least_pusd) return "";
  double all_usd = static_cast<double>(*least_pusd) / kPusdPerUsd;
  if (status.text_bytes.done > 0) {
    const double spent_usd = static_cast<double>(status.money.measured_pusd) / kPusdPerUsd;
    const double unknown_usd = static_cast<double>(status.money.possible_pusd) / kPusdPerUsd;
    const double left =
        static_cast<double>(status.text_bytes.left) / static_cast<double>(status.text_bytes.done);
    all_usd += 1.1 * spent_usd * left + std::max(all_usd - spent_usd - unknown_usd, 0.0);
  }
  // Up to the next cent, or to the next of three digits where it is less than a dollar.
  const double step = all_usd >= 1 ? 0.01 : 0.001;
  return fmt::format("{}{:.{}f}", kFlag, std::ceil(all_usd / step) * step, all_usd >= 1 ? 2 : 3);
}

void add_waits(BatchStatus& status, const std::optional<WorkerRow>& worker,
               const std::vector<ProviderPause>& pauses, bool has_worker, std::int64_t now_ms) {
  const std::string& name = status.batch.name;
  if (status.state == "held") {
    const bool by_cap = is_held_by_cap(status);
    status.bound_by = by_cap ? "its cap" : status.held_reason;
    std::string step = fmt::format("docmill retry {}", name);
    if (status.batch.held_reason) step = fmt::format("docmill resume {}", name);
    if (by_cap) step += needed_cap(status);
    status.waits.push_back(
        {status.held_reason, status.counts.queued() + status.counts.held, std::nullopt, step});
    return;
  }
  if (status.state == "paused") {
    status.bound_by = "paused";
    if (!status.batch.paused_reason.empty()) status.bound_by += ": " + status.batch.paused_reason;
    status.waits.push_back({status.bound_by, status.counts.queued(), std::nullopt,
                            fmt::format("docmill resume {}", name)});
    return;
  }
  if (status.state != "running" && status.state != "submitting") return;
  if (status.state == "submitting" && status.counts.queued() + status.counts.running == 0) {
    status.bound_by = "its submit";
    status.waits.push_back({"its submit has not ended", 0, std::nullopt,
                            "if it was cut off, the same docmill submit again"});
    return;
  }
  // What the worker published is older than that.
  if (!status.bound_by.empty()) {
    status.eta_seconds.reset();
    return;
  }
  add_published_wait(status, worker, pauses, has_worker, now_ms);
  if (!has_worker && status.counts.queued() > 0) {
    if (status.bound_by.empty()) status.bound_by = "no worker";
    status.waits.push_back({"no worker", status.counts.queued(), std::nullopt, "docmill work"});
    return;
  }
  if (status.bound_by.starts_with("the disk")) {
    status.waits.back().next_step = "make room on the store's disk; the work goes on by itself";
  }
  if (status.bound_by.empty() && status.counts.ready > 0 && status.counts.running > 0) {
    status.bound_by = "slots";
  }
  if (status.counts.waiting > 0) {
    status.waits.push_back({"a retry", status.counts.waiting, status.next_retry_ms, ""});
    if (status.bound_by.empty()) status.bound_by = "retries";
  }
}

ordered_json time_or_null(const std::optional<std::int64_t>& time_ms) {
  return time_ms ? ordered_json(iso_time(*time_ms)) : ordered_json(nullptr);
}

ordered_json json_of(const BatchStatus& s) {
  ordered_json out;
  out["name"] = s.batch.name;
  out["task"] = s.batch.task;
  out["tenant"] = s.batch.tenant;
  out["state"] = s.state;
  out["held_reason"] = s.held_reason.empty() ? ordered_json(nullptr) : ordered_json(s.held_reason);
  out["jobs"] = {{"total", s.counts.total()},      {"queued", s.counts.queued()},
                 {"running", s.counts.running},    {"done", s.counts.done},
                 {"failed", s.counts.failed},      {"held", s.counts.held},
                 {"cancelled", s.counts.cancelled}};
  out["cost"] = {{"measured_usd", exact_usd(s.money.measured_pusd)},
                 {"in_flight_usd", exact_usd(s.money.in_flight_pusd)},
                 {"possible_usd", exact_usd(s.money.possible_pusd)},
                 {"unpriced_requests", s.money.unpriced_requests}};
  out["max_cost_usd"] =
      s.batch.cap_pusd ? ordered_json(exact_usd(*s.batch.cap_pusd)) : ordered_json(nullptr);
  out["rate_per_minute"] = s.rate_per_minute;
  out["eta_seconds"] = s.eta_seconds ? ordered_json(*s.eta_seconds) : ordered_json(nullptr);
  out["bound_by"] = s.bound_by.empty() ? ordered_json(nullptr) : ordered_json(s.bound_by);
  out["waits"] = ordered_json::array();
  for (const BatchWait& wait : s.waits) {
    out["waits"].push_back({{"reason", wait.reason},
                            {"jobs", wait.jobs},
                            {"until", time_or_null(wait.until_ms)},
                            {"next_step", wait.next_step.empty() ? ordered_json(nullptr)
                                                                 : ordered_json(wait.next_step)}});
  }
  out["created_at"] = iso_time(s.batch.created_at_ms);
  out["finished_at"] = time_or_null(s.batch.finished_at_ms);
  return out;
}

std::string eta_text(const BatchStatus& status) {
  if (!status.eta_seconds) return "-";
  return "~" + human_duration(std::max<std::int64_t>(*status.eta_seconds, 1) * 1000);
}

// For a column; `status BATCH` has all of it.
std::string shortened(const std::string& text) {
  constexpr std::size_t kMostBytes = 48;
  if (text.size() <= kMostBytes) return text;
  // Its end may say until when.
  std::size_t tail = text.rfind(" (until ");
  if (tail == std::string::npos) tail = text.rfind(" (asked again at ");
  const std::string kept = tail == std::string::npos ? "" : text.substr(tail);
  return std::string(utf8_prefix(text.substr(0, tail), kMostBytes - 3)) + "..." + kept;
}

std::string bar(const JobCounts& counts) {
  constexpr std::int64_t kWidth = 32;
  const std::int64_t total = std::max<std::int64_t>(counts.total(), 1);
  const auto filled = static_cast<std::size_t>(counts.ended() * kWidth / total);
  return "[" + std::string(filled, '#') + std::string(kWidth - filled, '-') + "]";
}

// By nearest rank.
std::string percentile(const std::vector<std::int64_t>& sorted, std::size_t percent) {
  if (sorted.empty()) return "-";
  const std::size_t rank = (sorted.size() * percent + 99) / 100;
  return fmt::format("{:.1f} s",
                     static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1]) / 1000);
}

// What the provider counted, of what was estimated before.
std::string by_estimate(const ModelActivity& model) {
  if (model.estimated_tokens == 0) return "-";
  return fmt::format("x {:.3f}", static_cast<double>(model.reported_tokens) /
                                     static_cast<double>(model.estimated_tokens));
}

std::string models_table(const std::vector<ModelActivity>& models) {
  if (models.empty()) return {};
  Table table(
      {"MODEL", ">ANSWERS", ">429", ">ERRORS", ">P50", ">P95", ">COST", ">TOKENS BY ESTIMATE"});
  for (const ModelActivity& model : models) {
    table.add({model.model, with_commas(model.answers), with_commas(model.refusals),
               with_commas(model.errors), percentile(model.total_ms, 50),
               percentile(model.total_ms, 95), column_usd(model.cost_pusd), by_estimate(model)});
  }
  return table.text();
}

std::int64_t percent(const JobCounts& counts) {
  return counts.ended() * 100 / std::max<std::int64_t>(counts.total(), 1);
}

}  // namespace

std::string state_of(const Batch& batch, const JobCounts& counts) {
  if (batch.cancelled_at_ms) return "cancelled";
  if (batch.finished_at_ms) return "finished";
  if (batch.held_reason) return "held";
  if (batch.paused_at_ms) return "paused";
  if (!batch.sealed_at_ms) return "submitting";
  const bool only_held_left = counts.held > 0 && counts.queued() + counts.running == 0;
  return only_held_left ? "held" : "running";
}

StoreStatus read_status(StoreReader& reader, const std::filesystem::path& store,
                        const std::string& only, std::int64_t now_ms) {
  StoreStatus out;
  out.store = store.string();
  out.now_ms = now_ms;
  out.worker = running_worker(store);
  const std::optional<WorkerRow> worker = reader.last_worker();
  const std::vector<ProviderPause> pauses = reader.pauses();
  const std::optional<int> stuck = stuck_writer(store);
  std::error_code error;
  const bool is_full = std::filesystem::space(store, error).available < kFullDiskBytes && !error;
  std::vector<Batch> batches;
  if (only.empty()) {
    batches = reader.batches();
  } else if (auto batch = reader.batch(only)) {
    batches.push_back(std::move(*batch));
  }
  for (Batch& batch : batches) {
    BatchStatus status;
    status.counts = reader.counts(batch.id);
    status.money = reader.money(batch.id);
    status.errors = reader.errors(batch.id);
    status.state = state_of(batch, status.counts);
    if (status.state == "held") {
      status.held_reason =
          batch.held_reason.value_or(counted(status.counts.held, "document") + " held");
      if (is_held_by_cap(status)) status.text_bytes = reader.text_bytes(batch.id);
    }
    if (status.counts.waiting > 0) status.next_retry_ms = reader.next_retry_ms(batch.id);
    status.batch = std::move(batch);
    add_rate(status, reader, out.worker.has_value(), now_ms);
    if (stuck && status.state == "running") {
      status.bound_by = fmt::format("the write lock, held by pid {}", *stuck);
      status.waits.push_back(
          {status.bound_by, status.counts.queued(), std::nullopt,
           fmt::format("look at pid {}: stopped, or on a disk that hangs", *stuck)});
    } else if (is_full && status.state == "running") {
      // The worker cannot write it down.
      status.bound_by = "the disk is full";
      status.waits.push_back({status.bound_by, status.counts.queued(), std::nullopt,
                              "make room on the store's disk, before the worker is stopped"});
    }
    add_waits(status, worker, pauses, out.worker.has_value(), now_ms);
    out.batches.push_back(std::move(status));
  }
  return out;
}

std::string status_json(const StoreStatus& status) {
  ordered_json out;
  out["worker"] = nullptr;
  if (status.worker) {
    out["worker"] = {{"pid", status.worker->pid}, {"since", iso_time(status.worker->since_ms)}};
  }
  out["batches"] = ordered_json::array();
  for (const BatchStatus& batch : status.batches) out["batches"].push_back(json_of(batch));
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string status_table(const StoreStatus& status, bool all) {
  Table table(
      {"BATCH", "TASK", "STATE", ">DONE/TOTAL", ">FAILED", ">COST", ">CAP", "LEFT", "BOUND BY"});
  std::int64_t hidden = 0;
  std::string steps;
  std::int64_t shown = 0;
  for (const BatchStatus& s : status.batches) {
    const bool has_ended = s.state == "finished" || s.state == "cancelled";
    if (has_ended && !all) {
      ++hidden;
      continue;
    }
    ++shown;
    table.add({s.batch.name, s.batch.task, s.state,
               fmt::format("{}/{}", with_commas(s.counts.done), with_commas(s.counts.total())),
               with_commas(s.counts.failed), human_usd(s.money.measured_pusd),
               s.batch.cap_pusd ? human_usd(*s.batch.cap_pusd) : "-", eta_text(s),
               s.bound_by.empty() ? "-" : shortened(s.bound_by)});
    for (const BatchWait& wait : s.waits) {
      if (wait.next_step.empty() || steps.find(wait.next_step) != std::string::npos) continue;
      steps += (steps.empty() ? "next: " : "      ") + wait.next_step + "\n";
    }
  }
  std::string text;
  if (shown > 0) text += table.text();
  if (shown == 0 && hidden == 0) text += "no batches yet: docmill submit TASK INPUT...\n";
  text += steps;
  if (hidden > 0) {
    text +=
        fmt::format("{} finished batch{}: docmill status --all\n", hidden, hidden == 1 ? "" : "es");
  }
  return text;
}

std::string status_view(const BatchStatus& s, const StoreStatus& store) {
  const std::int64_t end_ms = s.batch.finished_at_ms.value_or(store.now_ms);
  std::string text = fmt::format("{}  {}  {}  {}\n", printable_line(s.batch.name), s.batch.task,
                                 s.state, human_duration(end_ms - s.batch.created_at_ms));
  text += fmt::format("{}  {} %  {} of {} documents\n", bar(s.counts), percent(s.counts),
                      with_commas(s.counts.ended()), with_commas(s.counts.total()));
  text += fmt::format("done {}   failed {}   running {}   queued {}", with_commas(s.counts.done),
                      with_commas(s.counts.failed), with_commas(s.counts.running),
                      with_commas(s.counts.queued()));
  if (s.counts.waiting > 0) text += fmt::format(" ({} wait for a retry)", s.counts.waiting);
  if (s.counts.held > 0) text += fmt::format("   held {}", with_commas(s.counts.held));
  if (s.counts.cancelled > 0) text += fmt::format("   cancelled {}", s.counts.cancelled);
  text += "\n";
  if (s.state == "running" || s.state == "submitting") {
    text += fmt::format("rate {:.0f}/min   left {}", s.rate_per_minute, eta_text(s));
    if (s.eta_seconds) {
      text += "   ends " + clock_time(store.now_ms + *s.eta_seconds * 1000).substr(0, 5) + " UTC";
    }
    text += "\n";
  }
  const std::string& why = s.held_reason.empty() ? s.bound_by : s.held_reason;
  if (!why.empty()) text += "bound by " + printable_line(why) + "\n";
  const bool has_price = s.money.measured_pusd > 0 || s.money.unpriced_requests == 0;
  text += fmt::format("money {} + {} in flight + {} unknown",
                      has_price ? human_usd(s.money.measured_pusd) + " spent" : "unpriced",
                      human_usd(s.money.in_flight_pusd), human_usd(s.money.possible_pusd));
  if (s.batch.cap_pusd) text += fmt::format(", cap {}", human_usd(*s.batch.cap_pusd));
  if (s.money.unpriced_requests > 0) {
    text += fmt::format("   unpriced requests {}", with_commas(s.money.unpriced_requests));
  }
  text += "\n" + models_table(s.models);
  for (const ErrorCount& error : s.errors) {
    text += fmt::format("{}{} {}", &error == &s.errors.front() ? "failed: " : "   ", error.jobs,
                        printable_line(error.error_class));
  }
  if (!s.errors.empty()) text += "\n";
  for (const BatchWait& wait : s.waits) {
    if (!wait.next_step.empty()) text += "next: " + printable_line(wait.next_step) + "\n";
  }
  return text;
}

std::string status_line(const BatchStatus& s) {
  std::string line = fmt::format(
      "{}: {} of {} documents, {} failed, {} running, {} queued, {} spent, {:.0f}/min, left {}",
      printable_line(s.batch.name), s.counts.ended(), s.counts.total(), s.counts.failed,
      s.counts.running, s.counts.queued(), human_usd(s.money.measured_pusd), s.rate_per_minute,
      eta_text(s));
  if (!s.bound_by.empty()) line += ", bound by " + printable_line(s.bound_by);
  return line;
}

int exit_code_of(const BatchStatus& status) {
  if (status.state == "held" || status.state == "paused") return 4;
  if (status.state == "cancelled") return 1;
  if (status.state == "finished") return status.counts.failed > 0 ? 1 : 0;
  // Not ended: a provider waits for a person.
  return 4;
}

}  // namespace docmill
