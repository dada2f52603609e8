// fork, exec, pidfd: a child is waited for by its descriptor, so no wait is longer than asked.

#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <utility>

#include "base/clock.h"
#include "base/errors.h"

namespace docmill {
namespace {

constexpr int kExecFailed = 127;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// In the child: only calls that are safe after fork().
void redirect(int opened, const char* path, int flags, int to) {
  const int fd = opened >= 0 ? opened : open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0 || dup2(fd, to) < 0) _exit(kExecFailed);
}

void take_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

void limit(int resource, std::int64_t most) {
  if (most == 0) return;
  const rlimit limits{static_cast<rlim_t>(most), static_cast<rlim_t>(most)};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limits) != 0) _exit(kExecFailed);
}

std::int64_t steady_ms() {
  static const SystemClock clock;
  return clock.now_ms();
}

}  // namespace

Process::Process(const Command& command) {
  std::vector<std::string> argv = command.argv;
  std::vector<std::string> env;
  for (const auto& [name, value] : command.env) env.push_back(name + "=" + value);
  const std::vector<char*> argv_pointers = pointers(argv);
  const std::vector<char*> env_pointers = pointers(env);
  pid_ = fork();
  if (pid_ < 0) throw world_error_from_errno("fork");
  if (pid_ == 0) {
    // Children must not outlive a parent that was itself killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(command.cwd.c_str()) != 0) _exit(kExecFailed);
    redirect(command.in_fd, command.in.c_str(), O_RDONLY, STDIN_FILENO);
    redirect(command.out_fd, command.out.c_str(), O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO);
    redirect(command.err_fd, command.err.c_str(), O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO);
    take_signals();
    limit(RLIMIT_AS, command.limits.memory_bytes);
    limit(RLIMIT_FSIZE, command.limits.file_bytes);
    limit(RLIMIT_CPU, command.limits.cpu_s);
    execve(argv_pointers.front(), argv_pointers.data(), env_pointers.data());
    _exit(kExecFailed);
  }
  pidfd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_.is_open()) throw world_error_from_errno("pidfd_open");
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), exit_(other.exit_) {}

Process::~Process() {
  if (pid_ > 0) kill();
}

std::optional<Exit> Process::wait(std::int64_t ms) {
  if (exit_) return exit_;
  const std::int64_t deadline_ms = steady_ms() + ms;
  pollfd ended{pidfd_.get(), POLLIN, 0};
  for (;;) {
    const std::int64_t left_ms = std::max<std::int64_t>(0, deadline_ms - steady_ms());
    const int ready = poll(&ended, 1, static_cast<int>(left_ms));
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) throw world_error_from_errno("poll");
    if (left_ms == 0) return std::nullopt;
  }
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) throw world_error_from_errno("waitpid");
  exit_ = WIFEXITED(status) ? Exit{WEXITSTATUS(status), 0} : Exit{-1, WTERMSIG(status)};
  return exit_;
}

void Process::send(int signal) {
  if (!exit_ && ::kill(pid_, signal) != 0) throw world_error_from_errno("kill");
}

bool Process::kill() {
  if (!is_running()) return false;
  send(SIGKILL);
  // A kill may lose the race against the child's own end; the status says which it was.
  const std::optional<Exit> exit = wait(30'000);
  if (!exit) throw WorldError("a killed process did not end");
  return exit->signal == SIGKILL;
}

std::int64_t Process::cpu_ticks() const {
  const auto stat = read_file("/proc/" + std::to_string(pid_) + "/stat", 4096);
  if (!stat) throw WorldError("/proc/PID/stat is too long");
  // The second field is the name in brackets and may hold spaces; utime and stime are 14 and 15.
  std::istringstream fields(stat->substr(stat->rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t user = 0;
  std::int64_t system = 0;
  fields >> user >> system;
  return user + system;
}

}  // namespace docmill
