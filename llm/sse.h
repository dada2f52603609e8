#pragma once

// Server-sent events, by the event-stream grammar of the HTML standard (section 9.2.6), as much of
// it as providers send: lines that end with LF, CR or CRLF, comments, data over several lines.

#include <string>
#include <string_view>
#include <vector>

namespace docmill {

struct SseEvent {
  std::string name;  // empty: not named
  std::string data;  // its data lines, joined with LF
};

class SseReader {
 public:
  // No line and no event's data may be longer.
  explicit SseReader(std::size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

  // Appends the events that `bytes` completes; they may be cut anywhere. An event that is not
  // ended by a blank line never comes. False: one was too long, and nothing more is read.
  bool feed(std::string_view bytes, std::vector<SseEvent>& events);
  // Of what has not become an event yet.
  std::size_t held_bytes() const { return line_.size() + event_.name.size() + event_.data.size(); }

 private:
  void end_line(std::vector<SseEvent>& events);

  std::size_t max_event_bytes_;
  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool is_after_cr_ = false;  // a LF that follows belongs to the same line end
  bool is_first_line_ = true;
};

}  // namespace docmill
