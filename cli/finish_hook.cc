#include "cli/finish_hook.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/log.h"
#include "base/text.h"
#include "report/status.h"

namespace docmill {
namespace {

constexpr std::int64_t kTimeoutMs = 60'000;
constexpr int kLockRetryMs = 20;
constexpr std::int64_t kLookMs = 100;
constexpr std::int64_t kStopMs = 5000;
constexpr std::int64_t kMostOutputBytes = 64 << 10;
constexpr std::size_t kToldBytes = 200;

std::string of_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

}  // namespace

void FinishHook::set_command(std::vector<std::string> argv) {
  argv_ = std::move(argv);
  if (!argv_.empty() && argv_.front().find('/') == std::string::npos) {
    argv_.insert(argv_.begin(), "/usr/bin/env");
  }
}

void FinishHook::start_next() {
  const std::optional<BatchEnds::End> end = ends_.first_untold();
  if (!end) return;
  const std::int64_t now_ms = clock_.now_ms();
  MemoryFile status(status_json(read_status(reader_, db_.file(), end->name, now_ms)));
  MemoryFile output;
  Command command;
  command.argv = argv_;
  command.env = {{"PATH", of_environment("PATH", "/usr/local/bin:/usr/bin:/bin")},
                 {"HOME", of_environment("HOME", "/")},
                 {"DOCMILL_STORE", db_.file().string()},
                 {"DOCMILL_BATCH", end->name}};
  command.cwd = "/";
  command.in_fd = status.fd();
  command.out_fd = command.err_fd = output.fd();
  command.limits.file_bytes = 0;
  run_.reset(
      new Run{*end, std::move(status), std::move(output), now_ms + kTimeoutMs, Process(command)});
}

void FinishHook::judge(const std::optional<Exit>& exit) {
  run_->has_ended = true;
  if (exit && exit->code == 0) {
    log_info("batch={} on_finish ran", run_->end.name);
    return;
  }
  const std::string said = run_->output.content(kMostOutputBytes);
  log_warning("batch={} on_finish failed ({}): {}", run_->end.name,
              !exit             ? fmt::format("longer than {} s", kTimeoutMs / 1000)
              : exit->code >= 0 ? fmt::format("exit {}", exit->code)
                                : fmt::format("signal {}", exit->signal),
              utf8_prefix(trimmed(said), kToldBytes));
}

bool FinishHook::note() {
  const std::unique_ptr<Transaction> transaction = Transaction::try_begin(db_);
  if (!transaction) return false;
  if (run_) {
    ends_.note_told(run_->end.batch, clock_.now_ms());
  } else {
    ends_.note_all_told();
  }
  transaction->commit();
  run_.reset();
  return true;
}

void FinishHook::look_after() {
  if (!run_->has_ended) {
    const std::optional<Exit> exit = run_->process.wait(0);
    if (!exit && clock_.now_ms() < run_->until_ms) return;
    if (!exit) run_->process.kill();
    judge(exit);
  }
  note();
}

std::int64_t FinishHook::look() {
  const std::int64_t now_ms = clock_.now_ms();
  if (!run_ && now_ms < next_look_ms_ && now_ms + kLookMs >= next_look_ms_) return next_look_ms_;
  next_look_ms_ = now_ms + kLookMs;
  return look_now();
}

std::int64_t FinishHook::look_now() {
  if (run_) look_after();
  if (!run_ && !argv_.empty()) start_next();
  if (!run_ && argv_.empty() && ends_.first_untold()) note();
  return run_ ? clock_.now_ms() + kLookMs : std::numeric_limits<std::int64_t>::max();
}

void FinishHook::stop() {
  const std::int64_t until_ms = clock_.now_ms() + kStopMs;
  while (run_ && clock_.now_ms() < until_ms) {
    if (!run_->has_ended) run_->process.wait(kLookMs);
    look_after();
  }
}

void FinishHook::finish() {
  look_now();
  while (run_) {
    if (!run_->has_ended) {
      const std::int64_t left_ms = std::max<std::int64_t>(run_->until_ms - clock_.now_ms(), 0);
      run_->process.wait(left_ms);
    } else {
      poll(nullptr, 0, kLockRetryMs);  // another process has the write lock
    }
    look_now();
  }
}

}  // namespace docmill
