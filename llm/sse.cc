#include "llm/sse.h"

namespace docmill {

bool SseReader::feed(std::string_view bytes, std::vector<SseEvent>& events) {
  while (!bytes.empty()) {
    if (is_after_cr_ && bytes.front() == '\n') {
      is_after_cr_ = false;
      bytes.remove_prefix(1);
      continue;
    }
    is_after_cr_ = false;
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + event_.data.size() > max_event_bytes_) return false;
    line_.append(part);
    if (end == std::string_view::npos) return true;
    is_after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(events);
  }
  return true;
}

void SseReader::end_line(std::vector<SseEvent>& events) {
  std::string_view line = line_;
  if (is_first_line_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  is_first_line_ = false;
  if (line.empty()) {
    if (has_data_) events.push_back(std::move(event_));
    event_ = SseEvent{};
    has_data_ = false;
    line_.clear();
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data.append(value);
    has_data_ = true;
  } else if (field == "event") {
    event_.name = value;
  }
  // An empty field is a comment; id and retry are for browsers that reconnect.
  line_.clear();
}

}  // namespace docmill
