#pragma once

// The texts of documents and pieces, each once for all batches, under its SHA-256; most of them
// packed.

#include <cstdint>
#include <optional>
#include <string>

#include "store/statement.h"

namespace docmill {

class Texts {
 public:
  explicit Texts(Database& db);

  // The id of the text with this hash (32 bytes), which is there from now on. `frame`: packed() of
  // it, where the caller had the time; absent: it is packed here.
  std::int64_t keep(const std::string& hash, const std::string& text,
                    const std::optional<std::string>& frame = std::nullopt);
  // Absent: what is on disk is not what was packed, or no UTF-8.
  std::optional<std::string> text(std::int64_t id);
  // Unless a job needs it.
  void drop(std::int64_t id);

 private:
  Database& db_;
  Statement insert_, find_, text_, drop_;
};

}  // namespace docmill
