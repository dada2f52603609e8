#include "llm/request.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "llm/json_span.h"
#include "llm/json_text.h"

namespace docmill {
namespace {

using nlohmann::ordered_json;

// What a dialect adds around the messages: roles, separators, priming. OpenAI's is 3 a message and
// 3 more (measured on recorded traffic); twice that is a bound.
constexpr std::int64_t kOverheadTokens = 24;

// Stand for what differs from request to request while the rest of a body is written.
constexpr const char* kTextHole = "\x01 docmill: the text \x01";
constexpr const char* kLimitHole = "\x01 docmill: the output limit \x01";

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

ordered_json openai_body(const ChatRequest& request, const Model& model, const Form& form) {
  ordered_json body;
  body["model"] = model.name;
  ordered_json messages = ordered_json::array();
  if (!request.system.empty()) {
    messages.push_back({{"role", "system"}, {"content", request.system}});
  }
  messages.push_back({{"role", "user"}, {"content", kTextHole}});
  body["messages"] = std::move(messages);
  body[form.max_tokens_field] = kLimitHole;
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

ordered_json anthropic_body(const ChatRequest& request, const Model& model, const Form& form) {
  ordered_json body;
  body["model"] = model.name;
  body["max_tokens"] = kLimitHole;
  if (!request.system.empty()) body["system"] = request.system;
  body["messages"] = ordered_json::array({{{"role", "user"}, {"content", kTextHole}}});
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

bool RequestEncoder::Frame::fits(const ChatRequest& request, const Form& wanted) const {
  return !parts.empty() && form == wanted && system == request.system &&
         json_schema == request.json_schema;
}

RequestEncoder::Frame RequestEncoder::Frame::of(const ChatRequest& request, const Model& model,
                                                const Form& form, Dialect dialect) {
  const ordered_json body = dialect == Dialect::openai ? openai_body(request, model, form)
                                                       : anthropic_body(request, model, form);
  const std::string text = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  Frame frame{form, request.system, request.json_schema, {}, text.size()};
  // extra_body may have put something else in the place of either.
  std::vector<std::pair<std::size_t, Hole>> holes;
  const std::string marks[] = {ordered_json(kTextHole).dump(), ordered_json(kLimitHole).dump()};
  for (const Hole hole : {Hole::text, Hole::limit}) {
    const std::size_t at = text.rfind(marks[hole == Hole::limit]);
    if (at != std::string::npos) holes.emplace_back(at, hole);
  }
  std::sort(holes.begin(), holes.end());
  std::size_t begin = 0;
  for (const auto& [at, hole] : holes) {
    frame.parts.push_back({text.substr(begin, at - begin), hole});
    begin = at + marks[hole == Hole::limit].size();
  }
  frame.parts.push_back({text.substr(begin), Hole::none});
  return frame;
}

EncodedRequest RequestEncoder::encode(const ChatRequest& request, const Model& model,
                                      const Form& form, Dialect dialect) {
  EncodedRequest encoded;
  if (!request.raw_body.empty()) {
    encoded.path = "/chat/completions";
    encoded.body = with_member(request.raw_body, "model", ordered_json(model.name).dump());
    // Its own model gets it as it was written, another one the limit under that one's name for it.
    if (!is_model(model, model_in_body(request.raw_body))) {
      const bool is_new = form.max_tokens_field == "max_completion_tokens";
      const char* other = is_new ? "max_tokens" : "max_completion_tokens";
      if (!member_text(encoded.body, form.max_tokens_field)) {
        encoded.body = with_renamed_member(encoded.body, other, form.max_tokens_field);
      }
    }
    if (member_text(encoded.body, "stream")) {
      encoded.body = with_member(encoded.body, "stream", "false");
    }
    encoded.max_input_tokens = static_cast<std::int64_t>(encoded.body.size()) + kOverheadTokens;
    encoded.max_output_tokens = request.max_output_tokens;
    return encoded;
  }
  if (!frame_.fits(request, form)) frame_ = Frame::of(request, model, form, dialect);
  encoded.max_output_tokens = std::min(request.max_output_tokens, model.max_output_tokens);
  encoded.path = dialect == Dialect::openai ? "/chat/completions" : "/messages";
  encoded.body.reserve(frame_.bytes + request.user.size() + request.user.size() / 16);
  for (const Frame::Part& part : frame_.parts) {
    encoded.body += part.literal;
    switch (part.hole) {
      case Hole::none:
        break;
      case Hole::text:
        append_quoted(encoded.body, request.user);
        break;
      case Hole::limit:
        encoded.body += std::to_string(encoded.max_output_tokens);
        break;
    }
  }
  encoded.max_input_tokens = static_cast<std::int64_t>(encoded.body.size()) + kOverheadTokens;
  return encoded;
}

std::string model_in_body(const std::string& raw_body) {
  const auto written = member_text(raw_body, "model");
  const auto name = written ? parse_json(std::string(*written)) : std::nullopt;
  return name && name->is_string() ? name->get<std::string>() : "";
}

bool is_model(const Model& model, const std::string& named) {
  return named == model.key || named == model.name;
}

std::string unbounded_in_body(const std::string& raw_body) {
  const auto body = parse_json(raw_body);
  if (!body || !body->is_object()) return {};
  for (const char* key : kUnboundedKeys) {
    if (body->contains(key)) return key;
  }
  // A tier that is dearer than the price; "auto" is whatever the account is set to.
  if (const auto tier = body->find("service_tier"); tier != body->end() && !tier->is_null()) {
    const std::string word = tier->is_string() ? tier->get<std::string>() : "";
    if (word != "default" && word != "flex") return fmt::format("service_tier \"{}\"", word);
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
    constexpr std::uint64_t kHighBits = 0x8080808080808080;
    std::uint64_t eight = kHighBits;
    if (text.end() - it >= 8) std::memcpy(&eight, &*it, 8);
    if ((eight & kHighBits) == 0) {
      latin += 8;
      it += 8;
      continue;
    }
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
