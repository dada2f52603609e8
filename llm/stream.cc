#include "llm/stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "llm/json_text.h"
#include "llm/json_view.h"

namespace docmill {
namespace {

// Words of an object that may be missing.
std::string_view word_in(const std::optional<JsonView>& object, const char* key) {
  return object ? word_at(*object, key) : std::string_view();
}

void keep_first(std::string& kept, std::string_view said) {
  if (kept.empty()) kept = said;
}

bool is_other_choice(JsonView choice) {
  const auto index = member(choice, "index");
  double number = 0;
  return index && index->get(number) == simdjson::SUCCESS && number != 0;
}

bool read_openai_choice(JsonView choice, StreamedReply& reply) {
  if (is_other_choice(choice)) return true;
  const auto delta = object_at(choice, "delta");
  const auto content = delta ? member(*delta, "content") : std::nullopt;
  const bool has_text = content && add_text(*content, reply.text);
  const std::size_t reasoning =
      std::max(word_in(delta, "reasoning_content").size(), word_in(delta, "reasoning").size());
  reply.reasoning_bytes += static_cast<std::int64_t>(reasoning);
  const bool is_refusal = !word_in(delta, "refusal").empty();
  reply.has_refusal |= is_refusal;
  const bool has_tools = delta && filled_array_at(*delta, "tool_calls");
  const std::string_view finish = word_at(choice, "finish_reason");
  if (!finish.empty()) reply.finish_reason = finish;
  return has_text || reasoning > 0 || is_refusal || has_tools || !finish.empty();
}

// Some send usage with the last delta, some in an event of its own, some with every delta: the
// last one counts.
bool read_openai(JsonView event, StreamedReply& reply) {
  keep_first(reply.model, word_at(event, "model"));
  if (const auto tier = word_at(event, "service_tier"); !tier.empty()) reply.service_tier = tier;
  bool is_payload = false;
  if (const auto usage = object_at(event, "usage");
      usage && simdjson::dom::object(*usage).size() > 0) {
    reply.usage_json = to_text(*usage);
    reply.has_final_usage = is_payload = true;
  }
  const auto choices = filled_array_at(event, "choices");
  if (!choices) return is_payload;
  for (const JsonView choice : *choices) {
    if (choice.is_object()) is_payload |= read_openai_choice(choice, reply);
  }
  return is_payload;
}

// message_start has the input's usage, message_delta the output's, cumulative.
void merge_usage(const std::optional<JsonView>& usage, bool is_final, StreamedReply& reply) {
  const auto added = usage ? parse_json(to_text(*usage)) : std::nullopt;
  if (!added || added->empty()) return;
  nlohmann::json merged = parse_json(reply.usage_json).value_or(nlohmann::json::object());
  for (const auto& [key, value] : added->items()) {
    if (!value.is_null()) merged[key] = value;
  }
  reply.usage_json = to_text(merged);
  reply.has_final_usage |= is_final;
}

bool read_anthropic(JsonView event, StreamedReply& reply) {
  const std::string_view type = word_at(event, "type");
  if (type == "message_start") {
    const auto message = object_at(event, "message");
    keep_first(reply.model, word_in(message, "model"));
    const auto usage = message ? object_at(*message, "usage") : std::nullopt;
    merge_usage(usage, false, reply);
    reply.service_tier = word_in(usage, "service_tier");
    return false;
  }
  if (type == "content_block_start") {
    const auto block = object_at(event, "content_block");
    if (word_in(block, "type") != "text") return false;
    reply.text += word_in(block, "text");
    return !word_in(block, "text").empty();
  }
  if (type == "content_block_delta") {
    const auto delta = object_at(event, "delta");
    const std::string_view text = word_in(delta, "text");
    const std::string_view thinking = word_in(delta, "thinking");
    reply.text += text;
    reply.reasoning_bytes += static_cast<std::int64_t>(thinking.size());
    return !text.empty() || !thinking.empty() || !word_in(delta, "partial_json").empty();
  }
  if (type == "message_delta") {
    const std::string_view reason = word_in(object_at(event, "delta"), "stop_reason");
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
  const auto parsed = view_json(event.data);
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
