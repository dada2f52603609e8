#include "worker/keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace docmill {
namespace {

constexpr std::size_t kMaxKeyBytes = 16 << 10;

// A control character in a key would end the header it is put into.
Key checked(std::string value, const std::string& where) {
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
  if (value.empty()) return {Secret(), where + " is empty"};
  const bool clean = std::none_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!clean) return {Secret(), where + " has control characters"};
  return {Secret(std::move(value)), ""};
}

// The environment's own bytes stay readable in /proc/PID/environ after unsetenv.
void wipe_from_environment(const std::string& name) {
  if (char* value = std::getenv(name.c_str())) explicit_bzero(value, std::strlen(value));
  unsetenv(name.c_str());
}

Key key_from_file(const std::string& path, bool must_be_private) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!fd.is_open() || fstat(fd.get(), &info) != 0) {
    return {Secret(), fmt::format("{}: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(info.st_mode)) return {Secret(), path + " is not a regular file"};
  if (must_be_private &&
      ((info.st_mode & 077) != 0 || (info.st_uid != geteuid() && info.st_uid != 0))) {
    return {Secret(), path + " can be read by others; chmod 600 it"};
  }
  std::string value(kMaxKeyBytes, '\0');
  const ssize_t got = read(fd.get(), value.data(), value.size());
  if (got < 0) return {Secret(), fmt::format("{}: {}", path, std::strerror(errno))};
  value.resize(static_cast<std::size_t>(got));
  return checked(std::move(value), path);
}

Key key_from_credential(const std::string& name) {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) {
    return {Secret(), fmt::format("the systemd credential {} is not there", name)};
  }
  return key_from_file((std::filesystem::path(folder) / name).string(), false);
}

// A short key could be a part of any text, and local servers take words for keys
// ("no-key-required"), so an answer is searched for what can only be a key.
constexpr std::size_t kShortestHidden = 8;
constexpr std::size_t kShortestHiddenInAnswer = 16;

// Also the beginning of a key, as in "sk-proj-abcdef*****", as far as it goes.
void hide(const std::string& key, std::size_t shortest, std::string& text) {
  if (key.size() < shortest) return;
  // In whatever case a gateway shows it.
  const std::string low_key = lower_ascii(key);
  const std::string low = lower_ascii(text);
  const std::string_view start = std::string_view(low_key).substr(0, shortest);
  std::string clean;
  std::size_t done = 0;
  for (std::size_t at = low.find(start); at != std::string::npos; at = low.find(start, done)) {
    std::size_t same = shortest;
    while (same < key.size() && at + same < low.size() && low[at + same] == low_key[same]) ++same;
    clean.append(text, done, at - done).append("[key]");
    done = at + same;
  }
  if (done > 0) text = clean.append(text, done, std::string::npos);
}

// Each escape is one byte of it; of what is not ASCII any byte will do, a key has none.
struct Plain {
  struct Escape {
    std::size_t at = 0;       // in the plain text
    std::size_t shorter = 0;  // by so much, it and those before it
  };
  std::string text;
  std::vector<Escape> escapes;
  // Where the byte begins in the text with escapes.
  std::size_t begin_of(std::size_t at) const {
    const auto after = std::lower_bound(escapes.begin(), escapes.end(), at,
                                        [](const Escape& e, std::size_t p) { return e.at < p; });
    return at + (after == escapes.begin() ? 0 : std::prev(after)->shorter);
  }
};

Plain without_escapes(std::string_view json, bool keeps_places) {
  Plain plain;
  plain.text.reserve(json.size());
  std::size_t shorter = 0;
  for (std::size_t i = 0; i < json.size();) {
    std::size_t size = 1;
    char c = json[i];
    if (c == '\\' && i + 1 < json.size()) {
      c = json[i + 1];
      size = 2;
      unsigned code = 0;
      const char* hex = json.data() + i + 2;
      if (c == 'u' && i + 6 <= json.size() &&
          std::from_chars(hex, hex + 4, code, 16).ptr == hex + 4) {
        c = static_cast<char>(code < 0x80 ? code : 0);
        size = 6;
      }
      shorter += size - 1;
      if (keeps_places) plain.escapes.push_back({plain.text.size(), shorter});
    }
    plain.text += c;
    i += size;
  }
  return plain;
}

// What of the base64 of any text depends on the key in it alone, wherever it begins: proxies that
// show the headers they were sent show them so, too.
std::vector<std::string> base64_parts(const std::string& key) {
  std::vector<std::string> parts;
  for (std::size_t before = 0; before < 3; ++before) {
    const std::string padded = std::string(before, ' ') + key;
    std::string encoded(4 * (padded.size() / 3 + 1) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                     reinterpret_cast<const unsigned char*>(padded.data()),
                                     static_cast<int>(padded.size()));
    encoded.resize(static_cast<std::size_t>(size));
    // The first and the last four depend on what stands before and after.
    if (encoded.size() > 8) parts.push_back(encoded.substr(4, encoded.size() - 8));
  }
  return parts;
}

void hide_all(const std::string& key, bool is_answer, std::string& text) {
  hide(key, is_answer ? kShortestHiddenInAnswer : kShortestHidden, text);
  if (key.size() < kShortestHiddenInAnswer) return;
  for (const std::string& part : base64_parts(key)) hide(part, part.size(), text);
}

}  // namespace

void hide_key(const Secret& secret, bool is_answer, std::string& text) {
  if (!text.empty()) hide_all(secret.reveal(), is_answer, text);
}

// The body is searched for the plain key alone: what is shown of it is decoded first, and searched
// again then.
void hide_key(const Secret& secret, HttpReply& reply) {
  const std::string& key = secret.reveal();
  const bool is_answer = reply.status >= 200 && reply.status < 300;
  hide(key, is_answer ? kShortestHiddenInAnswer : kShortestHidden, reply.body);
  if (reply.streamed) {
    hide(key, kShortestHiddenInAnswer, reply.streamed->text);
    hide(key, kShortestHidden, reply.streamed->error_json);
  }
  hide(key, kShortestHidden, reply.detail);
  for (Header& header : reply.headers) hide(key, kShortestHidden, header.value);
}

void hide_key_in_json(const Secret& secret, std::string& json) {
  const std::string key = lower_ascii(secret.reveal());
  if (key.size() < kShortestHiddenInAnswer || json.find('\\') == std::string::npos) return;
  const std::string_view text = json;
  const std::string low = lower_ascii(without_escapes(text, false).text);
  if (low.find(key) == std::string::npos) return;
  const Plain plain = without_escapes(text, true);
  std::string clean;
  std::size_t done = 0, from = 0;
  for (std::size_t at = low.find(key); at != std::string::npos; at = low.find(key, from)) {
    from = at + key.size();
    const std::size_t begin = plain.begin_of(at);
    clean.append(text.substr(done, begin - done)).append("[key]");
    done = plain.begin_of(from);
  }
  if (done > 0) json = clean.append(text.substr(done));
}

KeyReader& KeyReader::of_process() {
  static KeyReader reader;
  return reader;
}

std::map<std::string, Key> KeyReader::load(const Providers& providers) {
  for (const auto& [name, provider] : providers) {
    const char* value = std::getenv(provider.key_env.c_str());
    if (value != nullptr)
      of_environment_[provider.key_env] = checked(value, "$" + provider.key_env);
  }
  std::map<std::string, Key> keys;
  for (const auto& [name, provider] : providers) {
    Key key;
    if (!provider.key_credential.empty()) {
      key = key_from_credential(provider.key_credential);
    } else if (!provider.key_file.empty()) {
      key = key_from_file(provider.key_file, true);
    } else if (!provider.key_env.empty()) {
      const auto taken = of_environment_.find(provider.key_env);
      key = taken == of_environment_.end()
                ? Key{Secret(), fmt::format("${} is not set", provider.key_env)}
                : Key{Secret(taken->second.secret.reveal()), taken->second.problem};
    }
    keys.emplace(name, std::move(key));
    wipe_from_environment(provider.key_env);
  }
  return keys;
}

void forbid_core_dumps() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace docmill
