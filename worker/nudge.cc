#include "worker/nudge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/errors.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

// A socket's address holds 108 bytes, and a store's path may be longer; through its folder's
// descriptor it never is.
struct ShortAddress {
  Fd folder;
  sockaddr_un address{};
};

ShortAddress address_of(const fs::path& store) {
  ShortAddress out;
  out.folder = Fd(open(store.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.folder.is_open()) throw world_error_from_errno(store.parent_path().string());
  const std::string path =
      fmt::format("/proc/self/fd/{}/{}.nudge", out.folder.get(), store.filename().string());
  if (path.size() >= sizeof out.address.sun_path) {
    throw UsageError(fmt::format("{}: the store's name is too long", store.string()));
  }
  out.address.sun_family = AF_UNIX;
  std::memcpy(out.address.sun_path, path.c_str(), path.size() + 1);
  return out;
}

Fd new_socket() {
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) throw world_error_from_errno("unix socket");
  return fd;
}

}  // namespace

NudgeListener::NudgeListener(const fs::path& store)
    : path_(store.string() + ".nudge"), socket_(new_socket()) {
  unlink(path_.c_str());
  const ShortAddress to = address_of(store);
  const auto* address = reinterpret_cast<const sockaddr*>(&to.address);
  if (bind(socket_.get(), address, sizeof to.address) != 0) {
    throw world_error_from_errno(path_.string());
  }
  struct stat like {};
  if (stat(store.c_str(), &like) == 0) chmod(path_.c_str(), like.st_mode & 0660);
}

NudgeListener::~NudgeListener() {
  unlink(path_.c_str());
}

void NudgeListener::drain() {
  char byte = 0;
  // Bounded: a sender in a loop must not keep the worker here.
  for (int i = 0; i < 1000 && recv(socket_.get(), &byte, 1, 0) >= 0; ++i) {
  }
}

void nudge_worker(const fs::path& store) {
  const Fd fd = new_socket();
  const ShortAddress to = address_of(store);
  // Refused, missing or full: nobody listens, or the worker is awake anyhow.
  sendto(fd.get(), "1", 1, 0, reinterpret_cast<const sockaddr*>(&to.address), sizeof to.address);
}

}  // namespace docmill
