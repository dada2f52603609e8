#include "cli/worker_life.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <random>

#include "base/errors.h"
#include "base/log.h"
#include "report/status.h"
#include "worker/curl_transport.h"
#include "worker/keys.h"
#include "worker/nudge.h"
#include "worker/service.h"
#include "worker/worker.h"

namespace docmill {
namespace {

std::map<std::string, std::string> problems_of(const std::map<std::string, Key>& keys) {
  std::map<std::string, std::string> problems;
  for (const auto& [provider, key] : keys) {
    if (!key.problem.empty()) problems.emplace(provider, key.problem);
  }
  return problems;
}

void say_recovered(const Global& global, const Recovered& recovered) {
  if (recovered.requeued + recovered.held + recovered.unknown == 0) return;
  say(global, fmt::format("the last worker died: {} documents go on, {} held, {} requests with an "
                          "unknown outcome",
                          recovered.requeued, recovered.held, recovered.unknown));
}

void obey(const Global& global, Signals& signals, Worker& worker, WorkerLife& life, int& stops) {
  const Signals::Seen seen = signals.take();
  if (seen.reload) log_warning("SIGHUP: this version reads its config at start only");
  if (seen.stops == 0) return;
  life.stopped = true;
  life.interrupted |= seen.interrupted;
  stops += seen.stops;
  if (stops == 1) {
    notify_service("STOPPING=1");
    say(global, "stopping: keeping what is in flight; once more cuts it");
    worker.stop();
  } else {
    worker.abort();
  }
}

void judge(WorkerLife& life, StoreReader& reader, std::int64_t since_ms,
           const std::string& only_batch) {
  for (const Batch& batch : reader.batches()) {
    if (!only_batch.empty() && batch.name != only_batch) continue;
    if (batch.finished_at_ms.value_or(since_ms) < since_ms) continue;
    life.failed += reader.counts(batch.id).failed;
    if (!batch.finished_at_ms) life.all_ended = false;
  }
}

}  // namespace

std::string describe_worker(const std::filesystem::path& store) {
  const auto worker = running_worker(store);
  if (!worker) return store.string();
  return fmt::format("{}: pid {}, up {}", store.string(), worker->pid,
                     human_duration(SystemClock().now_ms() - worker->since_ms));
}

std::optional<WorkerLife> live_as_worker(const Global& global, const Config& config,
                                         const std::filesystem::path& store,
                                         const WorkerOptions& options,
                                         const std::function<void(StoreReader&)>& on_wait,
                                         std::string* refused) {
  std::optional<WorkerLock> lock = WorkerLock::take(store);
  if (!lock) {
    *refused = fmt::format("a worker already owns {}", describe_worker(store));
    return std::nullopt;
  }
  create_or_migrate_locked(store);
  forbid_core_dumps();
  // Large replies go back to the system at once; by default the heap keeps ever larger ones.
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  Signals signals;
  const SystemClock clock;
  SqliteCommit commit;
  Database db(store, Access::read_write, commit);
  const std::map<std::string, Key> keys = load_keys(config.providers);
  CurlTransport::Options transport_options;
  transport_options.in_flight = options.in_flight;
  transport_options.max_reply_bytes = options.max_reply_bytes;
  std::random_device entropy;
  transport_options.id_prefix = fmt::format("docmill-{:08x}-", entropy());
  CurlTransport transport(clock, config.providers, keys, transport_options);
  NudgeListener nudges(store);
  transport.watch(signals.fd());
  transport.watch(nudges.fd());
  WorkerOptions seeded = options;
  seeded.seed = entropy();
  const std::int64_t since_ms = clock.now_ms();
  say_missing_tokenizers(global, config);
  Worker worker(db, *lock, clock, transport,
                {config.providers, config.models, problems_of(keys), tokenizer_folders()}, seeded);
  StoreReader reader(db);
  say_recovered(global, worker.recovered());
  notify_service("READY=1");
  WorkerLife life;
  int stops = 0;
  Watchdog watchdog;
  worker.run([&] {
    watchdog.feed(clock.now_ms());
    nudges.drain();
    obey(global, signals, worker, life, stops);
    on_wait(reader);
  });
  notify_service("STOPPING=1");
  judge(life, reader, since_ms, options.only_batch);
  return life;
}

}  // namespace docmill
