#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/text.h"

namespace docmill {
namespace {

bool is_set_up = false;
bool is_for_machines = false;

// {"time":...,"level":...,"message":...}, with the keys that the message begins with: "batch=b
// job=3 is held" has two.
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    nlohmann::ordered_json line;
    const auto since_1970 = message.time.time_since_epoch();
    line["time"] =
        iso_time(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
    line["level"] = spdlog::level::to_string_view(message.level).data();
    line["message"] = text;
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      const std::size_t equals = word.find('=');
      if (equals == 0 || equals == std::string_view::npos) break;
      const std::string key(word.substr(0, equals));
      if (!line.contains(key)) line[key] = word.substr(equals + 1);
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
    const std::string json =
        line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    out.append(json.data(), json.data() + json.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

// sd-daemon(3): a line on stderr that starts with <N> has that syslog priority.
class JournalPriority : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view prefix = "<6>";
    if (message.level == spdlog::level::debug) prefix = "<7>";
    if (message.level == spdlog::level::warn) prefix = "<4>";
    if (message.level >= spdlog::level::err) prefix = "<3>";
    out.append(prefix.data(), prefix.data() + prefix.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JournalPriority>();
  }
};

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || fstat(STDERR_FILENO, &info) != 0) return false;
  return fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_up_log(LogLevel lowest, bool as_json) {
  auto logger = spdlog::stderr_color_st("docmill");
  const bool is_journal = stderr_is_journal();
  is_for_machines = is_journal || as_json;
  if (as_json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    if (is_journal) {
      formatter->add_flag<JournalPriority>('*').set_pattern("%*%v");
    } else {
      formatter->set_pattern("%H:%M:%S.%e %^%l%$: %v");
    }
    logger->set_formatter(std::move(formatter));
  }
  logger->set_level(level_of(lowest));
  spdlog::set_default_logger(std::move(logger));
  is_set_up = true;
}

bool log_is_for_machines() {
  return is_for_machines;
}

void log_line(LogLevel level, std::string_view line) {
  if (is_set_up) spdlog::log(level_of(level), "{}", printable_line(line));
}

}  // namespace docmill
