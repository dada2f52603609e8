#include "cli/worker_life.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <deque>
#include <random>

#include "base/errors.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/finish_hook.h"
#include "cli/metrics_endpoint.h"
#include "llm/tokenizers.h"
#include "report/metrics_text.h"
#include "report/status.h"
#include "worker/keys.h"
#include "worker/network_thread.h"
#include "worker/nudge.h"
#include "worker/service.h"
#include "worker/worker.h"

namespace docmill {
namespace {

constexpr std::int64_t kExtendEveryMs = 1000;
constexpr std::int64_t kPublishEveryMs = 1000;
constexpr std::int64_t kQueueShare = 100;  // so counting the queue takes at most 1 % of the time

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

// The configs that are in use: the last one, and those under which requests still fly.
class Reloads {
 public:
  // All must outlive it. `options` are what the worker was started with, flags included.
  Reloads(const Global& global, const Config& config, const WorkerOptions& options, KeyReader& keys,
          NetworkThread& transport, Worker& worker, FinishHook& hook)
      : global_(global),
        flags_in_flight_(options.in_flight),
        config_in_flight_(config.worker.in_flight),
        store_(config.store),
        metrics_port_(config.metrics_port),
        keys_(keys),
        transport_(transport),
        worker_(worker),
        hook_(hook) {}

  // A config that is refused changes nothing.
  void reload() {
    notify_service(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
    try {
      take(open_config(global_));
      notify_service("READY=1\nSTATUS=reloaded");
    } catch (const UsageError& error) {
      log_error("the new config is refused, the old one stays: {}", error.what());
      notify_service(fmt::format("READY=1\nSTATUS=the new config is refused: {}",
                                 printable_line(error.what())));
    }
  }

  void free_old() {
    if (!has_old_ || worker_.has_retired()) return;
    has_old_ = false;
    configs_.erase(configs_.begin(), configs_.end() - 1);
  }

 private:
  void take(Config next) {
    if (next.metrics_port != metrics_port_) {
      log_warning("[metrics] port has changed: it is listened on when the worker is started again");
    }
    if (next.store != store_) {
      log_warning(
          "[store] path has changed: the worker goes on with its store until it is started "
          "again");
    }
    WorkerOptions options = next.worker;
    if (flags_in_flight_ != config_in_flight_) options.in_flight = flags_in_flight_;
    const Config& config = configs_.emplace_back(std::move(next));
    const std::map<std::string, Key> keys = keys_.load(config.providers);
    try {
      worker_.reload({config.providers, config.models, problems_of(keys), tokenizer_folders()},
                     options);
    } catch (const UsageError&) {
      configs_.pop_back();
      throw;
    }
    has_old_ = true;
    hook_.set_command(config.on_finish);
    transport_.use(config.providers, keys, options.in_flight, options.max_reply_bytes);
    say_missing_tokenizers(global_, config);
    log_info("the config was read again: {} providers, {} models", config.providers.size(),
             config.models.size());
  }

  const Global& global_;
  const int flags_in_flight_, config_in_flight_;
  const std::filesystem::path store_;
  const std::optional<int> metrics_port_;
  KeyReader& keys_;
  NetworkThread& transport_;
  Worker& worker_;
  FinishHook& hook_;
  std::deque<Config> configs_;
  bool has_old_ = false;
};

// What the endpoint is given once a second.
class Watched {
 public:
  // A port that is taken is no reason to let documents wait. All must outlive it.
  Watched(const Clock& clock, const Config& config, Database& db, const Worker& worker)
      : clock_(clock), db_(db), worker_(worker), started_ms_(clock.now_ms()) {
    if (!config.metrics_port) return;
    try {
      endpoint_ = std::make_unique<MetricsEndpoint>(clock, *config.metrics_port);
    } catch (const WorldError& error) {
      log_error("{}; the worker goes on without it", error.what());
    }
  }

  // When what has changed since should be told, at the latest.
  std::int64_t publish() {
    const std::int64_t now_ms = clock_.now_ms();
    if (!endpoint_) return kNeverMs;
    if (now_ms < next_ms_) return next_ms_;
    next_ms_ = now_ms + kPublishEveryMs;
    // Counting a queue of millions takes a while, and the worker does nothing else meanwhile.
    if (now_ms >= next_queue_ms_) {
      const std::int64_t began_us = monotonic_us();
      queue_ = read_queue_figures(db_);
      const std::int64_t took_ms = (monotonic_us() - began_us) / 1000;
      next_queue_ms_ = now_ms + std::max(kPublishEveryMs, kQueueShare * took_ms);
    }
    MetricsPage page;
    page.worker = worker_.metrics();
    page.queue = queue_;
    page.wal_bytes = db_.wal_bytes();
    std::error_code error;
    const auto size = std::filesystem::file_size(db_.file(), error);
    if (!error) page.store_bytes = static_cast<std::int64_t>(size);
    page.free_disk_bytes = db_.free_disk_bytes();
    page.started_ms = started_ms_;
    page.now_ms = now_ms;
    endpoint_->publish(metrics_text(page), !page.worker.is_stopping);
    return kNeverMs;
  }

 private:
  const Clock& clock_;
  Database& db_;
  const Worker& worker_;
  const std::int64_t started_ms_;
  std::unique_ptr<MetricsEndpoint> endpoint_;
  QueueFigures queue_;
  std::int64_t next_ms_ = 0, next_queue_ms_ = 0;
};

// What signals ask for.
class Commands {
 public:
  Commands(const Global& global, Signals& signals, Worker& worker, WorkerLife& life,
           Reloads& reloads)
      : global_(global), signals_(signals), worker_(worker), life_(life), reloads_(reloads) {}

  void obey(std::int64_t now_ms) {
    const Signals::Seen seen = signals_.take();
    reloads_.free_old();
    if (seen.reload) reloads_.reload();
    if (stops_ > 0 && now_ms >= extend_at_ms_) {
      // The worker knows when to give up; the unit's TimeoutStopSec need not.
      extend_at_ms_ = now_ms + kExtendEveryMs;
      notify_service(fmt::format("EXTEND_TIMEOUT_USEC={}", 10 * kExtendEveryMs * 1000));
    }
    if (seen.stops == 0) return;
    life_.stopped = true;
    life_.interrupted |= seen.interrupted;
    stops_ += seen.stops;
    if (stops_ > 1) return worker_.abort();
    notify_service("STOPPING=1");
    say(global_, "stopping: keeping what is in flight; once more cuts it");
    worker_.stop();
  }

 private:
  const Global& global_;
  Signals& signals_;
  Worker& worker_;
  WorkerLife& life_;
  Reloads& reloads_;
  int stops_ = 0;
  std::int64_t extend_at_ms_ = 0;
};

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
  KeyReader& key_reader = KeyReader::of_process();
  const std::map<std::string, Key> keys = key_reader.load(config.providers);
  CurlTransport::Options transport_options;
  transport_options.in_flight = options.in_flight;
  transport_options.max_reply_bytes = options.max_reply_bytes;
  transport_options.blame = [&lock](JobId job) { lock->set_network_suspect(job); };
  std::random_device entropy;
  transport_options.id_prefix = fmt::format("docmill-{:08x}-", entropy());
  NetworkThread transport(clock, config.providers, keys, transport_options);
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
  Watched watched(clock, config, db, worker);
  watched.publish();
  FinishHook hook(clock, db, reader);
  hook.set_command(config.on_finish);
  notify_service("READY=1");
  WorkerLife life;
  Reloads reloads(global, config, options, key_reader, transport, worker, hook);
  Commands commands(global, signals, worker, life, reloads);
  Watchdog watchdog;
  worker.wake_at(clock.now_ms());  // all that is below begins now, not with the first reply
  worker.run([&] {
    worker.wake_at(watchdog.feed(clock.now_ms()));
    nudges.drain();
    commands.obey(clock.now_ms());
    worker.wake_at(hook.look());
    worker.wake_at(watched.publish());
    on_wait(reader);
  });
  notify_service("STOPPING=1");
  // After a signal the next life tells what is left.
  if (life.stopped) {
    hook.stop();
  } else {
    hook.finish();
  }
  judge(life, reader, since_ms, options.only_batch);
  return life;
}

}  // namespace docmill
