#pragma once

// The log: one line an event on stderr, `key=value` where it helps. Under journald (stderr is the
// journal) lines carry the <N> priority prefix and no time; elsewhere they carry the time, in
// colour on a terminal. As JSON a line is an object of time, level, message and the keys that the
// message begins with. Every line passes printable_line(), so foreign text cannot forge another.
// The log decides nothing.

#include <fmt/format.h>

#include <string_view>

namespace docmill {

enum class LogLevel { debug, info, warning, error };

// Lines below `lowest` are dropped, and all lines before the call. Called once, from main, before
// any other thread.
void set_up_log(LogLevel lowest, bool as_json);
// A program reads stderr: it has nothing but the log's lines.
bool log_is_for_machines();
void log_line(LogLevel level, std::string_view line);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace docmill
