// The file as a whole: its text, its sections in the order in which they refer to each other, and
// the sections that are a handful of numbers.

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "base/file.h"
#include "config/parts.h"

namespace docmill {
namespace {

constexpr std::int64_t kMostBytes = 1 << 20;

void read_store(TomlTable& table, Config& config) {
  if (const std::optional<std::string> path = table.text("path")) {
    config.store = table.file().resolved(*path);
  }
  table.reject_unknown_keys();
}

void read_retries(TomlTable& table, Policy& policy) {
  policy.max_tries = static_cast<int>(table.whole("max_tries", 1, 100).value_or(policy.max_tries));
  policy.max_requests =
      static_cast<int>(table.whole("max_requests", 1, 10'000).value_or(policy.max_requests));
  policy.retry_base_ms =
      table.duration_ms("retry_base", "1ms", "1h").value_or(policy.retry_base_ms);
  policy.retry_cap_ms = table.duration_ms("retry_cap", "1ms", "1d").value_or(policy.retry_cap_ms);
  if (policy.retry_base_ms > policy.retry_cap_ms) {
    table.fail(table.has("retry_base") ? "retry_base" : "retry_cap",
               fmt::format("\"retry_base\" is {} ms, more than \"retry_cap\", which is {} ms",
                           policy.retry_base_ms, policy.retry_cap_ms));
  }
}

void read_worker(TomlTable& table, Config& config) {
  WorkerOptions& worker = config.worker;
  worker.in_flight =
      static_cast<int>(table.whole("in_flight", 1, 10'000).value_or(worker.in_flight));
  read_retries(table, worker.policy);
  worker.stop_timeout_ms =
      table.duration_ms("stop_timeout", "1s", "1d").value_or(worker.stop_timeout_ms);
  worker.max_reply_bytes =
      table.size_bytes("max_reply", std::int64_t{1} << 16, std::int64_t{1} << 30)
          .value_or(worker.max_reply_bytes);
  worker.disk_reserve_bytes =
      table.size_bytes("disk_reserve", std::int64_t{1} << 20, std::int64_t{1} << 50);
  worker.breaker_failures =
      static_cast<int>(table.whole("breaker_failures", 1, 1000).value_or(worker.breaker_failures));
  worker.breaker_cooldown_ms =
      table.duration_ms("breaker_cooldown", "1ms", "1d").value_or(worker.breaker_cooldown_ms);
  config.on_finish = table.texts("on_finish").value_or(std::vector<std::string>());
  table.reject_unknown_keys();
}

void read_defaults(TomlTable& table, Config& config) {
  config.default_chain = read_chain(table, config.models);
  table.reject_unknown_keys();
}

void read_caps(TomlTable& table, Config& config) {
  config.batch_cap_pusd = table.usd_pusd("batch");
  config.confirm_pusd = table.usd_pusd("confirm");
  CapOptions& caps = config.worker.caps;
  caps.daily_pusd = table.usd_pusd("daily");
  if (std::optional<TomlTable> tenants = table.table("tenant")) {
    reject_dotted_names(*tenants, {});
    for (auto& [name, tenant] : tenants->named_tables()) {
      caps.tenants[name] = {tenant.usd_pusd("daily"), tenant.usd_pusd("monthly")};
      tenant.reject_unknown_keys();
    }
  }
  table.reject_unknown_keys();
}

void read_report(TomlTable& table, Config& config) {
  if (std::optional<TomlTable> currency = table.table("currency")) {
    const std::optional<std::string> code = currency->text("code");
    const std::optional<double> per_usd = currency->number("per_usd", 1e-6, 1e9);
    currency->reject_unknown_keys();
    const bool is_code =
        code && code->size() == 3 &&
        std::all_of(code->begin(), code->end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!is_code || !per_usd) {
      currency->fail("code", "\"currency\" must be like { code = \"EUR\", per_usd = 0.92 }");
    }
    config.currency = {*code, *per_usd};
  }
  table.reject_unknown_keys();
}

void read_metrics(TomlTable& table, Config& config) {
  if (const auto port = table.whole("port", 1024, 65'535)) {
    config.metrics_port = static_cast<int>(*port);
  }
  table.reject_unknown_keys();
}

}  // namespace

Config parse_config(std::string_view text, const std::filesystem::path& path) {
  TomlFile file(path);
  const toml::table toml = parse_toml(text, file);
  TomlTable root(toml, "", 1, file);
  std::optional<TomlTable> store = root.table("store");
  std::optional<TomlTable> worker = root.table("worker");
  std::optional<TomlTable> defaults = root.table("defaults");
  const std::optional<TomlTable> providers = root.table("providers");
  const std::optional<TomlTable> models = root.table("models");
  const std::optional<TomlTable> routes = root.table("routes");
  const std::optional<TomlTable> tasks = root.table("tasks");
  std::optional<TomlTable> caps = root.table("caps");
  std::optional<TomlTable> report = root.table("report");
  std::optional<TomlTable> metrics = root.table("metrics");
  // Before the sections: a misspelt [provider.x] is the reason why its models have no provider.
  root.reject_unknown_keys();
  Config config;
  config.file = path;
  if (store) read_store(*store, config);
  if (worker) read_worker(*worker, config);
  if (providers) config.providers = read_providers(*providers);
  if (models) read_models(*models, config.providers, config);
  if (routes) config.routes = read_routes(*routes, config.models);
  if (tasks) config.tasks = read_tasks(*tasks, config);
  if (defaults) read_defaults(*defaults, config);
  if (caps) read_caps(*caps, config);
  if (report) read_report(*report, config);
  if (metrics) read_metrics(*metrics, config);
  return config;
}

Config load_config(const std::filesystem::path& file) {
  std::optional<std::string> text;
  try {
    text = read_file(file, kMostBytes);
  } catch (const WorldError& error) {
    throw UsageError(error.what());
  }
  if (!text) throw UsageError(file.string() + ": longer than 1 MiB; is it a docmill.toml?");
  return parse_config(*text, file);
}

}  // namespace docmill
