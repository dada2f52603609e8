#pragma once

// Files and descriptors: an owner for a descriptor, whole files in and out.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace docmill {

// Owns a file descriptor and closes it.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release();

 private:
  int fd_ = -1;
};

// The whole file, or nothing when it is longer than `max_bytes`. Throws WorldError.
std::optional<std::string> read_file(const std::filesystem::path& path, std::int64_t max_bytes);
// One that the user named. Throws UsageError when it cannot be read, or is longer.
std::string read_named_file(const std::filesystem::path& path, std::int64_t max_bytes);

// /dev/null, /dev/stdout, a fifo, a link: something is there that a rename would replace by a file.
// It is opened to be written instead; nothing: that is not so. Throws WorldError when it cannot be.
std::optional<Fd> open_in_place(const std::filesystem::path& path);

// Puts `content` at `path` as one step: readers see the old file or the new one, whole, also after
// power loss. Throws WorldError.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

// Writes all of it or throws WorldError; a closed pipe is UsageError-free quiet exit for main.
void write_all(int fd, std::string_view content);

// The write end of stdout was closed (docmill results | head). Not an error: main exits quietly.
struct PipeClosed {};

}  // namespace docmill
