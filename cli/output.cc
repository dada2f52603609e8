#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "base/errors.h"
#include "base/text.h"
#include "cli/open.h"

namespace docmill {
namespace {

constexpr std::size_t kBufferBytes = 1 << 16;

}  // namespace

FileOutput::FileOutput(const std::optional<std::string>& file) : file_(file) {
  if (!file_) return;
  if (std::optional<Fd> in_place = open_in_place(*file_)) {
    fd_ = std::move(*in_place);
    return;
  }
  part_ = *file_ + ".part";
  fd_ = Fd(open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd_.is_open()) throw world_error_from_errno(part_);
}

void FileOutput::put(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
}

void FileOutput::close() {
  flush();
  if (part_.empty()) return;
  if (fsync(fd_.get()) != 0) throw world_error_from_errno(part_);
  if (rename(part_.c_str(), file_->c_str()) != 0) throw world_error_from_errno(*file_);
}

void FileOutput::flush() {
  const bool must_clean = !file_ && is_terminal(STDOUT_FILENO);
  write_all(file_ ? fd_.get() : STDOUT_FILENO, must_clean ? printable_text(buffer_) : buffer_);
  buffer_.clear();
}

}  // namespace docmill
