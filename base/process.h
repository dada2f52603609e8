#pragma once

// Child processes: started by their argv and never through a shell, waited for with a deadline,
// killed by the pid that was started and by nothing broader. They die with their parent. Signals
// reach them as a shell's children, whatever their parent blocks or ignores.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace docmill {

struct ProcessLimits {            // 0: none
  std::int64_t memory_bytes = 0;  // of address space
  std::int64_t file_bytes = 0;    // of each file that it writes
  std::int64_t cpu_s = 0;
};

struct Command {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;  // all of it: nothing is inherited
  std::filesystem::path cwd;
  std::filesystem::path in = "/dev/null";
  std::filesystem::path out = "/dev/null";
  std::filesystem::path err = "/dev/null";
  int in_fd = -1, out_fd = -1, err_fd = -1;  // in their place, from where they stand; -1: none
  ProcessLimits limits = {};
};

struct Exit {
  int code = -1;   // -1: a signal ended it
  int signal = 0;  // 0: it exited by itself
};

class Process {
 public:
  explicit Process(const Command& command);
  ~Process();  // killed and reaped, if it still runs
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) = delete;

  pid_t pid() const { return pid_; }
  // Nothing when it still runs after `ms`. The same answer again once it has ended.
  std::optional<Exit> wait(std::int64_t ms);
  bool is_running() { return !wait(0); }
  void send(int signal);
  // SIGKILL, and reaped when it returns. False: it had ended before.
  bool kill();
  // utime + stime so far, in clock ticks of sysconf(_SC_CLK_TCK).
  std::int64_t cpu_ticks() const;

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
  std::optional<Exit> exit_;
};

}  // namespace docmill
