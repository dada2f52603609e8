#include "cli/open.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/money.h"
#include "base/text.h"
#include "config/known.h"
#include "llm/price_book.h"
#include "llm/tokenizers.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

UsageError no_such_batch(const std::string& name, const std::vector<Batch>& batches) {
  std::vector<std::string> names;
  for (const Batch& batch : batches) names.push_back(batch.name);
  const auto near = nearest(name, names);
  return UsageError(fmt::format(
      "there is no batch \"{}\"; {}", printable_line(name),
      near ? fmt::format("did you mean \"{}\"?", *near) : "docmill status --all lists them"));
}

}  // namespace

Config open_config(const Global& global) {
  const std::optional<fs::path> file = find_config(global.config);
  if (!file) return known_config();
  // Whoever put a docmill.toml into this folder decides where documents go, so it is named.
  if (!global.config && file->is_relative()) say(global, "config: " + file->string());
  Config config = load_config(*file);
  fill_known_prices(config);
  return config;
}

void price_by_store(const fs::path& store, Config& config) {
  if (!store_exists(store)) return;
  SqliteCommit commit;
  Database db(store, Access::read_only, commit);
  PriceList list(db);
  fill_prices(list, config.providers, config.models, SystemClock().now_ms());
}

void say_missing_tokenizers(const Global& global, const Config& config) {
  const Tokenizers tokenizers(tokenizer_folders());
  std::set<std::string> missing;
  for (const auto& [key, model] : config.models) {
    if (!model.tokenizer.empty() && !tokenizers.is_here(model.tokenizer)) {
      missing.insert(model.tokenizer);
    }
  }
  for (const std::string& name : missing) {
    say(global, fmt::format("warning: tokenizer {} is not in {}: tokens are estimated from "
                            "characters; scripts/fetch-tokenizers brings it",
                            name, tokenizer_folders().front().string()));
  }
}

fs::path find_store(const Global& global, const Config& config) {
  if (global.store) return resolved_store_path(*global.store);
  if (const std::string named = environment("DOCMILL_STORE"); !named.empty()) {
    return resolved_store_path(named);
  }
  if (!config.store.empty()) return resolved_store_path(config.store);
  if (const std::string folder = environment("STATE_DIRECTORY"); !folder.empty()) {
    return resolved_store_path(fs::path(folder) / "docmill.db");
  }
  fs::path state = environment("XDG_STATE_HOME");
  if (state.empty()) {
    const std::string home = environment("HOME");
    if (home.empty()) throw UsageError("no place for the store: give --store FILE");
    state = fs::path(home) / ".local" / "state";
  }
  std::error_code error;
  fs::create_directories(state / "docmill", error);
  return resolved_store_path(state / "docmill" / "docmill.db");
}

std::unique_ptr<OpenedReader> open_reader(const Global& global) {
  Config config = open_config(global);
  const fs::path store = find_store(global, config);
  return std::make_unique<OpenedReader>(store, std::move(config));
}

std::unique_ptr<OpenedQueue> open_queue(const Global& global) {
  Config config = open_config(global);
  const fs::path store = find_store(global, config);
  create_or_migrate(store);
  return std::make_unique<OpenedQueue>(store, std::move(config));
}

Batch batch_named(StoreReader& reader, const std::string& name) {
  if (auto batch = reader.batch(name)) return *batch;
  throw no_such_batch(name, reader.batches());
}

Batch batch_named(OpenedQueue& opened, const std::string& name) {
  if (auto batch = opened.queue.jobs().batch(name)) return *batch;
  StoreReader reader(opened.db);
  throw no_such_batch(name, reader.batches());
}

bool is_terminal(int fd) {
  return isatty(fd) == 1;
}

void say(const Global& global, const std::string& line) {
  if (log_is_for_machines()) {
    const bool is_warning = line.starts_with("warning: ");
    log_line(is_warning ? LogLevel::warning : LogLevel::info, is_warning ? line.substr(9) : line);
  } else if (!global.quiet) {
    fmt::print(stderr, "docmill: {}\n", line);
  }
}

void put(const std::optional<std::string>& file, const std::string& content) {
  if (file) {
    const std::optional<Fd> in_place = open_in_place(*file);
    if (in_place) return write_all(in_place->get(), content);
    write_file_atomically(*file, content);
  } else {
    write_all(STDOUT_FILENO, is_terminal(STDOUT_FILENO) ? printable_text(content) : content);
  }
}

std::int64_t parse_cost_flag(const std::string& flag, const std::string& text) {
  const auto amount = parse_usd(text);
  if (!amount) {
    throw UsageError(fmt::format("{}: \"{}\" is not an amount in USD, for example 25 or 0.50", flag,
                                 printable_line(text)));
  }
  return *amount;
}

}  // namespace docmill
