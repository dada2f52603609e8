#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errors.h"

namespace docmill {
namespace {

void sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open() || fsync(fd.get()) != 0) throw world_error_from_errno(folder.string());
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

int Fd::release() {
  return std::exchange(fd_, -1);
}

std::optional<std::string> read_file(const std::filesystem::path& path, std::int64_t max_bytes) {
  // O_NONBLOCK: a fifo that was named by mistake must not hang us.
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open()) throw world_error_from_errno(path.string());
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) throw world_error_from_errno(path.string());
  if (!S_ISREG(info.st_mode)) throw WorldError(path.string() + ": not a regular file");
  std::string content;
  std::string block(1 << 16, '\0');
  for (;;) {
    const ssize_t got = read(fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw world_error_from_errno(path.string());
    if (got == 0) return content;
    content.append(block.data(), static_cast<std::size_t>(got));
    if (static_cast<std::int64_t>(content.size()) > max_bytes) return std::nullopt;
  }
}

std::string read_named_file(const std::filesystem::path& path, std::int64_t max_bytes) {
  std::optional<std::string> content;
  try {
    content = read_file(path, max_bytes);
  } catch (const WorldError& error) {
    throw UsageError(error.what());
  }
  if (content) return std::move(*content);
  throw UsageError(path.string() + " is larger than " + std::to_string(max_bytes >> 20) + " MiB");
}

std::optional<Fd> open_in_place(const std::filesystem::path& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return std::nullopt;
  Fd fd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!fd.is_open()) throw world_error_from_errno(path.string());
  return fd;
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path part = path.string() + ".part";
  {
    const Fd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd.is_open()) throw world_error_from_errno(part.string());
    write_all(fd.get(), content);
    if (fsync(fd.get()) != 0) throw world_error_from_errno(part.string());
  }
  if (rename(part.c_str(), path.c_str()) != 0) throw world_error_from_errno(path.string());
  sync_folder_of(path);
}

void write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t put = write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EPIPE) throw PipeClosed{};
    if (put < 0) throw world_error_from_errno("write");
    content.remove_prefix(static_cast<std::size_t>(put));
  }
}

}  // namespace docmill
