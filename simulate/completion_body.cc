// Field for field what OpenAI sends, in its order.

#include "simulate/completion_body.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "simulate/words.h"

namespace docmill::sim {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json usage_json(const SimulatedUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"audio_tokens", 0}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", 0},
            {"audio_tokens", 0},
            {"accepted_prediction_tokens", 0},
            {"rejected_prediction_tokens", 0}}}};
}

Json choice_json(const Completion& completion, Fate fate) {
  const bool blank = fate == Fate::no_content || fate == Fate::content_filter;
  return {{"index", 0},
          {"message",
           {{"role", "assistant"},
            {"content", blank ? Json(nullptr) : Json(completion.content)},
            {"refusal", nullptr},
            {"annotations", Json::array()}}},
          {"logprobs", nullptr},
          {"finish_reason", completion.finish_reason}};
}

Json chunk(const Completion& completion, Json choices) {
  return {{"id", completion.id},
          {"object", "chat.completion.chunk"},
          {"created", completion.created_s},
          {"model", completion.model},
          {"service_tier", "default"},
          {"system_fingerprint", nullptr},
          {"choices", std::move(choices)}};
}

Json delta_chunk(const Completion& completion, Json delta, Json finish_reason) {
  return chunk(completion, Json::array({{{"index", 0},
                                         {"delta", std::move(delta)},
                                         {"logprobs", nullptr},
                                         {"finish_reason", std::move(finish_reason)}}}));
}

std::string event(const Completion& completion, Json json) {
  // With include_usage every chunk but one says null.
  if (completion.usage_in_stream && !json.contains("usage")) json["usage"] = nullptr;
  return fmt::format("data: {}\n\n", dump(json));
}

std::string content_events(const Completion& completion) {
  constexpr std::size_t kDeltaBytes = 32;
  std::string events;
  std::string_view rest = completion.content;
  while (!rest.empty()) {
    const std::size_t size = character_start(rest, kDeltaBytes);
    events += delta_event(completion, std::string(rest.substr(0, size)));
    rest.remove_prefix(size);
  }
  return events;
}

}  // namespace

std::string delta_event(const Completion& completion, const std::string& text) {
  return event(completion, delta_chunk(completion, {{"content", text}}, nullptr));
}

std::string completion_json(const Completion& completion, Fate fate) {
  Json choices = Json::array();
  if (fate != Fate::no_choices) choices.push_back(choice_json(completion, fate));
  Json json{{"id", completion.id},
            {"object", "chat.completion"},
            {"created", completion.created_s},
            {"model", completion.model},
            {"choices", std::move(choices)}};
  if (fate != Fate::no_usage) json["usage"] = usage_json(completion.usage);
  json["service_tier"] = "default";
  json["system_fingerprint"] = nullptr;
  std::string text = dump(json);
  // A valid start: only a parser that reads to the end finds the fault.
  if (fate == Fate::bad_json) text.resize(character_start(text, text.size() * 3 / 4));
  return text;
}

std::string completion_events(const Completion& completion, Fate fate) {
  std::string events;
  if (fate == Fate::no_choices) {
    events += event(completion, chunk(completion, Json::array()));
  } else {
    const Json start{{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}};
    events += event(completion, delta_chunk(completion, start, nullptr));
    if (fate != Fate::no_content && fate != Fate::content_filter) {
      events += content_events(completion);
    }
    if (fate == Fate::bad_json) return events + "data: {\"id\":\"chatcmpl-\n\ndata: [DONE]\n\n";
    events += event(completion, delta_chunk(completion, Json::object(), completion.finish_reason));
  }
  if (completion.usage_in_stream && fate != Fate::no_usage) {
    Json last = chunk(completion, Json::array());
    last["usage"] = usage_json(completion.usage);
    events += event(completion, std::move(last));
  }
  return events + "data: [DONE]\n\n";
}

std::string endless_json(const Completion& completion) {
  const std::string whole = completion_json(completion, Fate::answer);
  constexpr std::string_view kContent = "\"content\":\"";
  const std::size_t content = whole.find(kContent);
  return whole.substr(0, content + kContent.size());
}

std::string endless_events(const Completion& completion) {
  const Json start{{"role", "assistant"}, {"content", ""}};
  return event(completion, delta_chunk(completion, start, nullptr));
}

}  // namespace docmill::sim
