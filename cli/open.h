#pragma once

// What most commands begin with: the config, the store, a batch by its name.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "cli/command.h"
#include "config/config.h"
#include "queue/job_queue.h"
#include "store/database.h"
#include "store/reader.h"

namespace docmill {

// The config in force. Without any file: what is known of the vendors whose
// usual variable is set (config/known.h).
Config open_config(const Global& global);
// Gives models without a price in the config the one that the store's lists have; nothing when the
// store is not there yet.
void price_by_store(const std::filesystem::path& store, Config& config);

// Names the tokenizers of the config that are not on this machine.
void say_missing_tokenizers(const Global& global, const Config& config);

// --store, $DOCMILL_STORE, [store] path, $STATE_DIRECTORY, $XDG_STATE_HOME. Makes the folder only
// for the last, which is ours.
std::filesystem::path find_store(const Global& global, const Config& config);

// A store opened to look at.
struct OpenedReader {
  std::filesystem::path store;
  Config config;
  SqliteCommit commit;
  Database db;
  StoreReader reader;
  SystemClock clock;
  explicit OpenedReader(const std::filesystem::path& path) : OpenedReader(path, Config()) {}
  OpenedReader(const std::filesystem::path& path, Config with)
      : store(path), config(std::move(with)), db(path, Access::read_only, commit), reader(db) {}
};
std::unique_ptr<OpenedReader> open_reader(const Global& global);

// A store opened to change; made or migrated first.
struct OpenedQueue {
  std::filesystem::path store;
  Config config;
  SqliteCommit commit;
  SystemClock clock;
  Database db;
  JobQueue queue;
  OpenedQueue(std::filesystem::path path, Config with)
      : store(std::move(path)),
        config(std::move(with)),
        db(store, Access::read_write, commit),
        queue(db, clock, config.worker.policy) {}
};
std::unique_ptr<OpenedQueue> open_queue(const Global& global);

// Throws UsageError with the nearest name.
Batch batch_named(StoreReader& reader, const std::string& name);
Batch batch_named(OpenedQueue& opened, const std::string& name);

bool is_terminal(int fd);
// To stderr, unless --quiet.
void say(const Global& global, const std::string& line);
// To stdout, or into the file of -o; into what is no file as it is.
void put(const std::optional<std::string>& file, const std::string& content);

std::int64_t parse_cost_flag(const std::string& flag, const std::string& text);

}  // namespace docmill
