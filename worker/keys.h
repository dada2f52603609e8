#pragma once

// Where keys come from: a systemd credential, a file that is ours alone, or an environment
// variable, which is wiped once it has been read.

#include <map>
#include <string>

#include "base/secret.h"
#include "llm/http_reply.h"
#include "llm/model.h"

namespace docmill {

struct Key {
  Secret secret;        // empty: the provider needs none, or problem says why there is none
  std::string problem;  // names the variable or file, never the value
};

// Remembers what it took out of the environment, so that a reload, and the next worker of the same
// process, find it again.
class KeyReader {
 public:
  // The one that the process has.
  static KeyReader& of_process();

  // One entry for each provider.
  std::map<std::string, Key> load(const Providers& providers);

 private:
  KeyReader() = default;
  std::map<std::string, Key> of_environment_;  // by variable
};

// No core dump and no ptrace by others of the same user, from here on.
void forbid_core_dumps();

// Some gateways repeat the key in their error: "Invalid token: sk-...". It goes no further.
void hide_key(const Secret& secret, HttpReply& reply);
// In the text of JSON, whose escapes may stand within it.
void hide_key_in_json(const Secret& secret, std::string& json);
// The same for a text that was decoded since, where escapes could have hidden it from us.
void hide_key(const Secret& secret, bool is_answer, std::string& text);

}  // namespace docmill
