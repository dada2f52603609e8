#pragma once

// The texts of documents and pieces, each once for all batches, under its SHA-256.

#include <cstdint>
#include <string>

#include "store/statement.h"

namespace docmill {

class Texts {
 public:
  explicit Texts(Database& db);

  // The id of the text with this hash (32 bytes), which is there from now on.
  std::int64_t keep(const std::string& hash, const std::string& text);
  std::string text(std::int64_t id);
  // Unless a job needs it.
  void drop(std::int64_t id);

 private:
  Database& db_;
  Statement insert_, find_, text_, drop_;
};

}  // namespace docmill
