#pragma once

// Config texts that the config's tests share, and what the loader says of a bad one.

#include <string>
#include <vector>

#include "base/errors.h"
#include "config/config.h"

namespace docmill::config_text {

// Lines 1 to 8 of most files below: a provider and two models.
inline const std::string kBase = R"([providers.acme]
base_url = "https://api.acme.com/v1"
[models.small]
provider = "acme"
input = 0.42
output = 0.42
[models."large-4.1"]
provider = "acme"
)";

inline Config parse(const std::string& text) {
  return parse_config(text, "./docmill.toml");
}

inline std::string complaint(const std::string& text) {
  try {
    parse(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "(none)";
}

struct Bad {
  std::string text;
  std::string complaint;  // after "./docmill.toml:"
};

inline std::string provider_with(const std::string& lines) {
  return "[providers.acme]\nbase_url = \"https://api.acme.com/v1\"\n" + lines + "\n";
}

}  // namespace docmill::config_text
