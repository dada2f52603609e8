// [providers.NAME]. The part of the config where a mistake sends documents or a key to the wrong
// place, so it refuses more than it must: plain http beyond this machine, passwords in a URL, a key
// where its name belongs, headers that docmill itself sets.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "config/base_url.h"
#include "config/parts.h"

namespace docmill {
namespace {

constexpr std::string_view kLongest = "7d";

bool is_variable_name(std::string_view text) {
  const bool digit_first = text.front() >= '0' && text.front() <= '9';
  return !digit_first && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_header_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
  });
}

void read_key_env(TomlTable& table, Provider& provider) {
  provider.key_env = table.text("key_env").value_or("");
  if (provider.key_env.empty()) return;
  if (is_variable_name(provider.key_env) && !looks_like_key(provider.key_env)) return;
  table.fail("key_env",
             "\"key_env\" takes the NAME of an environment variable, such as \"OPENAI_API_KEY\", "
             "never the key itself. If a key stands here, replace it at the provider: it has been "
             "in a file");
}

void read_key_file(TomlTable& table, Provider& provider) {
  const std::optional<std::string> path = table.text("key_file");
  if (!path) return;
  if (looks_like_key(*path)) {
    table.fail("key_file",
               "\"key_file\" takes the PATH of a file that holds the key, never the key itself");
  }
  if (path->front() == '~') {
    table.fail("key_file",
               "\"key_file\" begins with ~, which only a shell expands; write the "
               "whole path");
  }
  provider.key_file = table.file().resolved(*path).string();
}

void read_key_credential(TomlTable& table, Provider& provider) {
  provider.key_credential = table.text("key_credential").value_or("");
  const std::string& name = provider.key_credential;
  if (name.empty()) return;
  if (looks_like_key(name) || name.find('/') != std::string::npos || name == "." || name == ".." ||
      name.size() > 255) {
    table.fail("key_credential",
               "\"key_credential\" takes the NAME of a systemd credential (LoadCredential=NAME:...)"
               ", neither a path nor the key itself");
  }
}

void read_key_source(TomlTable& table, Provider& provider) {
  read_key_env(table, provider);
  read_key_file(table, provider);
  read_key_credential(table, provider);
  std::vector<std::string> given;
  for (const char* key : {"key_env", "key_file", "key_credential"}) {
    if (table.has(key)) given.emplace_back(key);
  }
  if (given.size() > 1) {
    table.fail(given[1], fmt::format("{} has {}; a provider has one key, so keep one of them",
                                     table.title(), fmt::join(given, " and ")));
  }
}

// The line of an entry of a table within `table`, however the table was written.
std::uint32_t entry_line(const TomlTable& table, std::string_view key, std::string_view name) {
  const toml::table* inner = table.toml().get_as<toml::table>(key);
  return inner->find(name)->first.source().begin.line;
}

void read_headers(TomlTable& table, Provider& provider) {
  static const std::set<std::string> kOurs = {"authorization",
                                              "proxy-authorization",
                                              "x-api-key",
                                              "api-key",
                                              "anthropic-version",
                                              "content-type",
                                              "content-length",
                                              "transfer-encoding",
                                              "accept-encoding",
                                              "host",
                                              "expect",
                                              "connection"};
  provider.headers = table.text_map("headers").value_or(provider.headers);
  std::set<std::string> seen;
  for (const auto& [name, value] : provider.headers) {
    const std::string lower = lower_ascii(name);
    const auto refuse = [&table, &name = name](std::string_view why) {
      table.file().fail(entry_line(table, "headers", name),
                        fmt::format("\"headers\": {} {}", shown(name), why));
    };
    if (!is_header_name(name)) refuse("is not a header's name");
    if (kOurs.count(lower) > 0) {
      refuse("is set by docmill; a key goes into key_env, key_file or key_credential");
    }
    if (!seen.insert(lower).second) refuse("is there twice");
    if (looks_like_key(value) || lower_ascii(value).substr(0, 7) == "bearer ") {
      refuse("holds a key; keys never stand in the config, use key_env or key_file");
    }
  }
}

void read_query(TomlTable& table, Provider& provider) {
  static const std::set<std::string> kKeys = {"key",   "api_key", "api-key",
                                              "token", "apikey",  "access_token"};
  provider.query = table.text_map("query").value_or(provider.query);
  for (const auto& [name, value] : provider.query) {
    if (kKeys.count(lower_ascii(name)) == 0 && !looks_like_key(value)) continue;
    table.file().fail(entry_line(table, "query", name),
                      fmt::format("\"query\": {} holds a key; keys never stand in the config, use "
                                  "key_env or key_file",
                                  shown(name)));
  }
}

void read_base_url(TomlTable& table, Provider& provider) {
  provider.allow_http = table.flag("allow_http").value_or(provider.allow_http);
  const std::optional<std::string> given = table.text("base_url");
  if (!given) return;
  const CheckedUrl checked =
      check_base_url(*given, provider.allow_http ? PlainHttp::anywhere : PlainHttp::loopback_only);
  if (!checked.complaint.empty()) {
    table.fail("base_url", fmt::format("\"base_url\" {}", checked.complaint));
  }
  provider.base_url = checked.url;
}

void read_route_to_it(TomlTable& table, Provider& provider) {
  read_base_url(table, provider);
  provider.region = lower_ascii(table.text("region").value_or(""));
  if (const std::optional<std::string> path = table.text("ca_file")) {
    provider.ca_file = table.file().resolved(*path).string();
  }
  provider.proxy = table.text("proxy").value_or("");
  if (provider.proxy.empty() || provider.proxy == "none") return;
  const CheckedUrl checked = check_proxy_url(provider.proxy);
  if (!checked.complaint.empty()) {
    table.fail("proxy", fmt::format("\"proxy\" {} (\"none\": no proxy; absent: as the environment "
                                    "says)",
                                    checked.complaint));
  }
  provider.proxy = checked.url;
}

void read_limits(TomlTable& table, Provider& provider) {
  provider.per_minute = read_rates(table);
  provider.burst_seconds = table.number("burst", 0.001, 3600).value_or(provider.burst_seconds);
  if (const std::optional<std::int64_t> in_flight = table.whole("in_flight", 1, 10'000)) {
    provider.in_flight = static_cast<int>(*in_flight);
  }
}

// A timer that the user gave may not outlast the deadline; a default one shrinks to it.
std::int64_t within_deadline(TomlTable& table, std::string_view key, std::int64_t default_ms,
                             std::int64_t deadline_ms) {
  const std::optional<std::int64_t> given_ms = table.duration_ms(key, "1ms", kLongest);
  if (!given_ms) return std::min(default_ms, deadline_ms);
  if (*given_ms <= deadline_ms) return *given_ms;
  table.fail(key, fmt::format("\"{}\" must not be longer than \"deadline\", which is {}", key,
                              human_duration(deadline_ms)));
}

void read_timers(TomlTable& table, Provider& provider) {
  provider.deadline_ms =
      table.duration_ms("deadline", "1ms", kLongest).value_or(provider.deadline_ms);
  const std::int64_t deadline_ms = provider.deadline_ms;
  provider.connect_timeout_ms =
      within_deadline(table, "connect_timeout", provider.connect_timeout_ms, deadline_ms);
  provider.progress_timeout_ms =
      within_deadline(table, "progress_timeout", provider.progress_timeout_ms, deadline_ms);
  if (table.has("first_byte_timeout")) {
    provider.first_byte_timeout_ms =
        within_deadline(table, "first_byte_timeout", deadline_ms, deadline_ms);
  } else {
    table.node("first_byte_timeout");
  }
}

Provider read_provider(const std::string& name, TomlTable& table) {
  Provider provider;
  provider.name = name;
  if (table.one_of("dialect", {"openai", "anthropic"}) == "anthropic") {
    provider.dialect = Dialect::anthropic;
  }
  if (table.one_of("auth", {"bearer", "api-key"}) == "api-key") provider.auth = Auth::api_key;
  read_key_source(table, provider);
  read_route_to_it(table, provider);
  read_headers(table, provider);
  read_query(table, provider);
  read_limits(table, provider);
  read_timers(table, provider);
  provider.bills_errors = table.flag("bills_errors").value_or(provider.bills_errors);
  table.reject_unknown_keys();
  if (provider.base_url.empty()) {
    table.fail(fmt::format("{} needs base_url = \"https://...\"", table.title()));
  }
  return provider;
}

}  // namespace

Providers read_providers(const TomlTable& table) {
  reject_dotted_names(table, {"headers", "query"});
  Providers providers;
  for (auto& [name, own] : table.named_tables()) providers.emplace(name, read_provider(name, own));
  return providers;
}

}  // namespace docmill
