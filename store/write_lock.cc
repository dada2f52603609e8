#include "store/write_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/errors.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

bool flock_now(const Fd& fd) {
  for (;;) {
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) throw world_error_from_errno("lock file of the store");
  }
}

void flock_wait(const Fd& fd) {
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw world_error_from_errno("lock file of the store");
  }
}

void flock_release(const Fd& fd) {
  flock(fd.get(), LOCK_UN);
}

std::string boot_id() {
  const auto id = read_file("/proc/sys/kernel/random/boot_id", 100);
  return id ? id->substr(0, 36) : "";
}

// <store>.worker: a fixed record, so that the suspects can be overwritten in place.
//   "worker PID SINCE_MS BOOT_ID INODE\n" padded to 256 bytes, then the two suspects' ids, each 8
//   bytes of this machine's order: one store writes it, so a death cannot leave half of it.
using Suspects = std::array<std::int64_t, 2>;
constexpr std::size_t kHeadBytes = 256;
constexpr std::size_t kRecordBytes = kHeadBytes + sizeof(Suspects);

std::string read_at_most(int fd, std::size_t bytes) {
  std::string content(bytes, '\0');
  const ssize_t got = pread(fd, content.data(), bytes, 0);
  content.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return content;
}

// Of a file that is there.
unsigned long long inode_of(const fs::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) throw world_error_from_errno(path.string());
  return info.st_ino;
}

struct WorkerRecord {
  int pid = 0;
  long long since_ms = 0;
  std::string boot;
  unsigned long long inode = 0;  // the store's
  Suspects suspects{};
};

std::optional<WorkerRecord> read_record(int fd) {
  const std::string content = read_at_most(fd, kRecordBytes);
  WorkerRecord record;
  std::array<char, 64> boot{};
  if (std::sscanf(content.c_str(), "worker %d %lld %63s %llu", &record.pid, &record.since_ms,
                  boot.data(), &record.inode) < 3) {
    return std::nullopt;
  }
  record.boot = boot.data();
  if (content.size() > kHeadBytes) {  // a record of an older docmill is shorter
    std::memcpy(record.suspects.data(), content.data() + kHeadBytes, content.size() - kHeadBytes);
  }
  return record;
}

}  // namespace

Fd open_lock_file(const fs::path& path, const fs::path& store) {
  struct stat like {};
  if (stat(store.c_str(), &like) != 0 && stat(store.parent_path().c_str(), &like) != 0) {
    throw world_error_from_errno(store.string());
  }
  const bool shared =
      S_ISDIR(like.st_mode) ? (like.st_mode & S_ISGID) != 0 : (like.st_mode & S_IWGRP) != 0;
  const mode_t mode = shared ? 0660 : 0600;
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (fd.is_open()) {
    fchmod(fd.get(), mode);  // the umask must not take the group's part away
    if (geteuid() == 0 && fchown(fd.get(), like.st_uid, like.st_gid) != 0) {
      throw world_error_from_errno(path.string());
    }
    return fd;
  }
  if (errno == EEXIST) fd = Fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) throw world_error_from_errno(path.string());
  return fd;
}

WriteLock::WriteLock(const fs::path& store)
    : turn_(open_lock_file(store.string() + ".turn", store)),
      write_(open_lock_file(store.string() + ".write", store)) {}

void WriteLock::lock() {
  CHECK(!has_write_);
  if (!has_turn_) flock_wait(turn_);
  has_turn_ = true;
  flock_wait(write_);
  has_write_ = true;
  drop_place();
  note_holder();
}

bool WriteLock::try_lock() {
  CHECK(!has_write_);
  if (!has_turn_) has_turn_ = flock_now(turn_);
  if (!has_turn_ || !flock_now(write_)) return false;
  has_write_ = true;
  drop_place();
  note_holder();
  return true;
}

void WriteLock::drop_place() {
  if (has_turn_) flock_release(turn_);
  has_turn_ = false;
}

void WriteLock::unlock() {
  CHECK(has_write_);
  flock_release(write_);
  has_write_ = false;
}

// Written by each holder once in its life: the pid does not change, another holder overwrites it.
void WriteLock::note_holder() {
  const std::string pid = fmt::format("{:<12}\n", getpid());
  if (read_at_most(write_.get(), pid.size()) == pid) return;
  if (pwrite(write_.get(), pid.data(), pid.size(), 0) < 0) throw world_error_from_errno("lock");
}

std::optional<int> WriteLock::holder_pid() const {
  const std::string content = read_at_most(write_.get(), 12);
  int pid = 0;
  std::from_chars(content.data(), content.data() + content.size(), pid);
  if (pid <= 0) return std::nullopt;
  return pid;
}

std::optional<WorkerLock> WorkerLock::take(const fs::path& store) {
  Fd fd = open_lock_file(store.string() + ".worker", store);
  // A `status` that looks whether there is a worker holds the lock for microseconds, a migration
  // for a little longer; neither is a reason to refuse. A living worker is.
  constexpr int kPauseMs = 10;
  for (int waited_ms = 0; !flock_now(fd); waited_ms += kPauseMs) {
    const auto record = read_record(fd.get());
    const bool worker_lives = record && (kill(record->pid, 0) == 0 || errno == EPERM);
    if (waited_ms >= (worker_lives ? 100 : 10'000)) return std::nullopt;
    poll(nullptr, 0, kPauseMs);
  }
  return WorkerLock(std::move(fd), store);
}

void WorkerLock::announce(std::int64_t now_ms) {
  std::string record =
      fmt::format("worker {} {} {} {}\n", getpid(), now_ms, boot_id(), inode_of(store_));
  record.resize(kHeadBytes, '\n');
  record.resize(kRecordBytes, '\0');
  if (pwrite(fd_.get(), record.data(), record.size(), 0) < 0) throw world_error_from_errno("lock");
  void* page = mmap(nullptr, kRecordBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (page == MAP_FAILED) throw world_error_from_errno("lock");
  suspects_.reset(reinterpret_cast<std::int64_t*>(static_cast<char*>(page) + kHeadBytes));
}

void WorkerLock::set_suspect(std::size_t place, JobId job) {
  CHECK(suspects_ != nullptr);
  std::atomic_ref(suspects_.get()[place]).store(job.value);
}

void WorkerLock::Unmap::operator()(std::int64_t* suspects) const {
  munmap(reinterpret_cast<char*>(suspects) - kHeadBytes, kRecordBytes);
}

std::vector<JobId> WorkerLock::suspects_left_behind() const {
  std::vector<JobId> suspects;
  const auto record = read_record(fd_.get());
  if (!record || record->boot != boot_id()) return suspects;
  for (const std::int64_t job : record->suspects) {
    if (job > 0) suspects.push_back({job});
  }
  return suspects;
}

bool WorkerLock::has_file_as_it_was_left() const {
  const auto record = read_record(fd_.get());
  return record && record->boot == boot_id() && record->inode == inode_of(store_);
}

std::optional<int> stuck_writer(const fs::path& store) {
  const Fd fd(open((store.string() + ".write").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) return std::nullopt;
  constexpr int kLooks = 6;
  constexpr int kPauseMs = 60;
  for (int look = 0; look < kLooks; ++look) {
    if (flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return std::nullopt;
    poll(nullptr, 0, kPauseMs);
  }
  const std::string content = read_at_most(fd.get(), 12);
  int pid = 0;
  std::from_chars(content.data(), content.data() + content.size(), pid);
  return pid > 0 ? std::optional(pid) : std::nullopt;
}

std::optional<WorkerSeen> running_worker(const fs::path& store) {
  const Fd fd(open((store.string() + ".worker").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) return std::nullopt;
  // A shared lock that is free at once means that nobody is the worker; it is let go with fd.
  if (flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return std::nullopt;
  const auto record = read_record(fd.get());
  if (!record) return std::nullopt;
  return WorkerSeen{record->pid, record->since_ms};
}

}  // namespace docmill
