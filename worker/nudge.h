#pragma once

// A tap on the worker's shoulder: there is new work, or a person has asked for something. A unix
// datagram socket beside the store; a lost nudge costs at most the worker's idle interval.

#include <filesystem>

#include "base/file.h"

namespace docmill {

class NudgeListener {
 public:
  // Takes the place of a dead worker's socket; the caller holds the worker's lock.
  explicit NudgeListener(const std::filesystem::path& store);
  ~NudgeListener();
  NudgeListener(const NudgeListener&) = delete;

  int fd() const { return socket_.get(); }
  // Takes what has come, so that fd() waits again.
  void drain();

 private:
  std::filesystem::path path_;
  Fd socket_;
};

// Nothing happens when no worker listens.
void nudge_worker(const std::filesystem::path& store);

}  // namespace docmill
