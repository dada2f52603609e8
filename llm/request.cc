#include "llm/request.h"

#include <fmt/format.h>

#include <utf8.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "llm/json_span.h"

#include "base/check.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::ordered_json;

// What a dialect adds around the messages: roles, separators, priming. OpenAI's is 3 a message and
// 3 more (measured on recorded traffic); twice that is a bound.
constexpr std::int64_t kOverheadTokens = 24;

void add_json_mode(ordered_json& body, const ChatRequest& request, const Form& form) {
  if (request.json_schema.empty() || form.json == JsonMode::none) return;
  if (form.json == JsonMode::object) {
    body["response_format"] = {{"type", "json_object"}};
    return;
  }
  body["response_format"] = {
      {"type", "json_schema"},
      {"json_schema",
       {{"name", "extraction"}, {"schema", ordered_json::parse(request.json_schema)}}}};
}

void merge_extra(ordered_json& body, const Model& model) {
  if (model.extra_body.empty()) return;
  const ordered_json extra = ordered_json::parse(model.extra_body);
  for (const auto& [key, value] : extra.items()) body[key] = value;
}

ordered_json openai_body(const ChatRequest& request, const Model& model, const Form& form,
                         std::int64_t max_output) {
  ordered_json body;
  body["model"] = model.name;
  ordered_json messages = ordered_json::array();
  if (!request.system.empty()) {
    messages.push_back({{"role", "system"}, {"content", request.system}});
  }
  messages.push_back({{"role", "user"}, {"content", request.user}});
  body["messages"] = std::move(messages);
  body[form.max_tokens_field] = max_output;
  if (form.has_temperature) body["temperature"] = *model.temperature;
  if (form.stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};  // else it ends without usage
  }
  if (!model.service_tier.empty()) body["service_tier"] = model.service_tier;
  add_json_mode(body, request, form);
  merge_extra(body, model);
  return body;
}

ordered_json anthropic_body(const ChatRequest& request, const Model& model, const Form& form,
                            std::int64_t max_output) {
  ordered_json body;
  body["model"] = model.name;
  body["max_tokens"] = max_output;
  if (!request.system.empty()) body["system"] = request.system;
  body["messages"] = ordered_json::array({{{"role", "user"}, {"content", request.user}}});
  if (form.has_temperature) body["temperature"] = *model.temperature;
  if (form.stream) body["stream"] = true;
  if (!model.service_tier.empty()) body["service_tier"] = model.service_tier;
  if (!request.json_schema.empty() && form.json == JsonMode::schema) {
    body["output_config"] = {
        {"format",
         {{"type", "json_schema"}, {"schema", ordered_json::parse(request.json_schema)}}}};
  }
  merge_extra(body, model);
  return body;
}

bool is_cjk(std::uint32_t c) {
  return (c >= 0x2e80 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7af) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

}  // namespace

EncodedRequest encode_request(const ChatRequest& request, const Model& model, const Form& form,
                              Dialect dialect) {
  EncodedRequest encoded;
  if (!request.raw_body.empty()) {
    encoded.path = "/chat/completions";
    encoded.body = with_member(request.raw_body, "model", ordered_json(model.name).dump());
    if (member_text(encoded.body, "stream")) {
      encoded.body = with_member(encoded.body, "stream", "false");
    }
    encoded.max_input_tokens = static_cast<std::int64_t>(encoded.body.size()) + kOverheadTokens;
    encoded.max_output_tokens = request.max_output_tokens;
    return encoded;
  }
  encoded.max_output_tokens = std::min(request.max_output_tokens, model.max_output_tokens);
  const ordered_json body = dialect == Dialect::openai
                                ? openai_body(request, model, form, encoded.max_output_tokens)
                                : anthropic_body(request, model, form, encoded.max_output_tokens);
  encoded.path = dialect == Dialect::openai ? "/chat/completions" : "/messages";
  encoded.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  encoded.max_input_tokens = static_cast<std::int64_t>(encoded.body.size()) + kOverheadTokens;
  return encoded;
}

std::string unbounded_in_body(const std::string& raw_body) {
  const auto body = parse_json(raw_body);
  if (!body || !body->is_object()) return {};
  for (const char* key : {"web_search_options", "plugins", "modalities", "audio", "best_of",
                          "prediction", "mcp_servers", "models", "route"}) {
    if (body->contains(key)) return key;
  }
  const auto listed = [](const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_array() ? *found : nlohmann::json::array();
  };
  for (const auto& tool : listed(*body, "tools")) {
    const std::string type = tool.is_object() ? word_at(tool, "type") : "";
    if (type != "function") return fmt::format("a tool of type \"{}\"", type);
  }
  for (const auto& message : listed(*body, "messages")) {
    if (!message.is_object()) continue;
    for (const auto& part : listed(message, "content")) {
      const std::string type = part.is_object() ? word_at(part, "type") : "";
      if (type != "text") return fmt::format("content of type \"{}\"", type);
    }
  }
  return {};
}

// Measured: English 4.4 characters a token, CJK 1.2 to 1.9; the reference's cheap estimator.
std::int64_t estimated_tokens(std::string_view text) {
  std::int64_t latin = 0;
  std::int64_t cjk = 0;
  std::int64_t other = 0;
  for (auto it = text.begin(); it != text.end();) {
    if (static_cast<unsigned char>(*it) < 0x80) {
      ++latin;
      ++it;
      continue;
    }
    const std::uint32_t c = utf8::next(it, text.end());
    ++(is_cjk(c) ? cjk : other);
  }
  return (30 * latin + 65 * cjk + 50 * other + 99) / 100;
}

}  // namespace docmill
