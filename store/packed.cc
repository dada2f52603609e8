#include "store/packed.h"

#include <zstd.h>

#include <memory>
#include <new>

#include "base/check.h"

namespace docmill {
namespace {

// A frame costs some 20 bytes, and tables of its own.
constexpr std::size_t kLeastBytes = 256;
// The fastest that makes half of English prose of 2 KiB; 3 makes a hundredth less of it.
constexpr int kLevel = 1;
// A document's own limit, so that a frame that lies of its size asks for no more memory than one.
constexpr std::size_t kMostBytes = 64 << 20;

// Kept for a thread's life: to make one costs more than a short text.
ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context = [] {
    std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> made(ZSTD_createCCtx(), &ZSTD_freeCCtx);
    if (made == nullptr) throw std::bad_alloc();
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(made.get(), ZSTD_c_compressionLevel, kLevel)));
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(made.get(), ZSTD_c_checksumFlag, 1)));
    return made;
  }();
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                &ZSTD_freeDCtx);
  if (context == nullptr) throw std::bad_alloc();
  return context.get();
}

}  // namespace

std::string packed(std::string_view text) {
  if (text.size() < kLeastBytes || text.size() > kMostBytes) return "";
  // What does not fit is not worth it.
  std::string frame(text.size() - text.size() / 8, '\0');
  const std::size_t bytes =
      ZSTD_compress2(compressor(), frame.data(), frame.size(), text.data(), text.size());
  if (ZSTD_isError(bytes)) return "";
  frame.resize(bytes);
  frame.shrink_to_fit();  // thousands of them wait for their transaction
  return frame;
}

std::optional<std::string> unpacked(std::string_view frame) {
  // Its words for "unknown" and "no frame" are larger than any size; of nothing no frame is made.
  const unsigned long long bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (bytes == 0 || bytes > kMostBytes) return std::nullopt;
  std::string text(bytes, '\0');
  const std::size_t got =
      ZSTD_decompressDCtx(decompressor(), text.data(), text.size(), frame.data(), frame.size());
  if (got != bytes) return std::nullopt;
  return text;
}

}  // namespace docmill
