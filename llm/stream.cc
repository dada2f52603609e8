#include "llm/stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::json;

const json& object_at(const json& object, const char* key) {
  static const json none = json::object();
  const auto it = object.find(key);
  return it != object.end() && it->is_object() ? *it : none;
}

bool has_error(const json& event) {
  const auto error = event.find("error");
  return error != event.end() && !error->is_null();
}

void keep_first(std::string& kept, const std::string& said) {
  if (kept.empty()) kept = said;
}

// True: it held something.
bool add_text(const json& content, std::string& text) {
  const std::size_t before = text.size();
  if (content.is_string()) {
    text += content.get<std::string>();
  } else if (content.is_array()) {
    for (const json& part : content) {
      if (part.is_object() && word_at(part, "type") == "text") text += word_at(part, "text");
    }
  }
  return text.size() > before;
}

bool read_openai_choice(const json& choice, StreamedReply& reply) {
  const auto index = choice.find("index");
  if (index != choice.end() && index->is_number() && *index != 0) return true;
  bool is_payload = false;
  const json& delta = object_at(choice, "delta");
  if (const auto content = delta.find("content"); content != delta.end()) {
    is_payload |= add_text(*content, reply.text);
  }
  const std::size_t reasoning =
      std::max(word_at(delta, "reasoning_content").size(), word_at(delta, "reasoning").size());
  reply.reasoning_bytes += static_cast<std::int64_t>(reasoning);
  const bool is_refusal = !word_at(delta, "refusal").empty();
  reply.has_refusal |= is_refusal;
  const auto tools = delta.find("tool_calls");
  const bool has_tools = tools != delta.end() && tools->is_array() && !tools->empty();
  const std::string finish = word_at(choice, "finish_reason");
  if (!finish.empty()) reply.finish_reason = finish;
  return is_payload || reasoning > 0 || is_refusal || has_tools || !finish.empty();
}

// Some send usage with the last delta, some in an event of its own, some with every delta: the
// last one counts.
bool read_openai(const json& event, StreamedReply& reply) {
  keep_first(reply.model, word_at(event, "model"));
  if (const std::string tier = word_at(event, "service_tier"); !tier.empty()) {
    reply.service_tier = tier;
  }
  bool is_payload = false;
  if (const json& usage = object_at(event, "usage"); !usage.empty()) {
    reply.usage_json = to_text(usage);
    reply.has_final_usage = is_payload = true;
  }
  const auto choices = event.find("choices");
  if (choices == event.end() || !choices->is_array()) return is_payload;
  for (const json& choice : *choices) {
    if (choice.is_object()) is_payload |= read_openai_choice(choice, reply);
  }
  return is_payload;
}

// message_start has the input's usage, message_delta the output's, cumulative.
void merge_usage(const json& usage, bool is_final, StreamedReply& reply) {
  if (usage.empty()) return;
  json merged = parse_json(reply.usage_json).value_or(json::object());
  for (const auto& [key, value] : usage.items()) {
    if (!value.is_null()) merged[key] = value;
  }
  reply.usage_json = to_text(merged);
  reply.has_final_usage |= is_final;
}

bool read_anthropic(const json& event, StreamedReply& reply) {
  const std::string type = word_at(event, "type");
  if (type == "message_start") {
    const json& message = object_at(event, "message");
    keep_first(reply.model, word_at(message, "model"));
    const json& usage = object_at(message, "usage");
    merge_usage(usage, false, reply);
    reply.service_tier = word_at(usage, "service_tier");
    return false;
  }
  if (type == "content_block_start") {
    const json& block = object_at(event, "content_block");
    if (word_at(block, "type") != "text") return false;
    reply.text += word_at(block, "text");
    return !word_at(block, "text").empty();
  }
  if (type == "content_block_delta") {
    const json& delta = object_at(event, "delta");
    const std::string text = word_at(delta, "text");
    const std::string thinking = word_at(delta, "thinking");
    reply.text += text;
    reply.reasoning_bytes += static_cast<std::int64_t>(thinking.size());
    return !text.empty() || !thinking.empty() || !word_at(delta, "partial_json").empty();
  }
  if (type == "message_delta") {
    const std::string reason = word_at(object_at(event, "delta"), "stop_reason");
    if (!reason.empty()) reply.finish_reason = reason;
    merge_usage(object_at(event, "usage"), true, reply);
    return true;
  }
  reply.is_ended = type == "message_stop";
  return reply.is_ended;  // ping, content_block_stop, and what is yet to be invented: nothing
}

}  // namespace

StreamReader::StreamReader(Dialect dialect, std::size_t max_bytes)
    : dialect_(dialect), max_bytes_(max_bytes), events_(max_bytes) {}

std::size_t StreamReader::held_bytes() const {
  return reply_.text.size() + reply_.usage_json.size() + reply_.error_json.size() +
         events_.held_bytes();
}

StreamReader::Fed StreamReader::feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  const bool is_read = events_.feed(bytes, events);
  bool is_payload = false;
  for (const SseEvent& event : events) is_payload |= read(event);
  const std::size_t kept = reply_.text.size() + static_cast<std::size_t>(reply_.reasoning_bytes);
  if (!is_read || kept > max_bytes_) return Fed::too_long;
  return is_payload ? Fed::payload : Fed::nothing;
}

bool StreamReader::read(const SseEvent& event) {
  if (reply_.is_ended) return false;
  if (event.data.starts_with("[DONE]")) return reply_.is_ended = true;
  const auto parsed = parse_json(event.data);
  if (!parsed || !parsed->is_object()) {
    // A heartbeat of some relays.
    if (!event.data.empty()) reply_.is_malformed = true;
    return false;
  }
  if (has_error(*parsed)) {
    if (reply_.error_json.empty()) reply_.error_json = to_text(*parsed);
    return true;
  }
  return dialect_ == Dialect::openai ? read_openai(*parsed, reply_)
                                     : read_anthropic(*parsed, reply_);
}

}  // namespace docmill
