// Reads a body as OpenAI does, in what it takes and in what it complains of; fields without a
// meaning here are let through.

#include "simulate/chat_request.h"

#include <nlohmann/json.hpp>

namespace docmill::sim {
namespace {

// Ordered, because the properties of a schema come back in the order they were asked for.
using Json = nlohmann::ordered_json;

void append_line(std::string& text, const std::string& line) {
  if (!text.empty()) text += '\n';
  text += line;
}

// A string, or parts of which only those of text count. False: neither.
bool append_content(std::string& text, const Json& content) {
  if (content.is_null()) return true;
  if (content.is_string()) {
    append_line(text, content.get_ref<const std::string&>());
    return true;
  }
  if (!content.is_array()) return false;
  for (const Json& part : content) {
    if (!part.is_object()) return false;
    const auto piece = part.find("text");
    if (piece != part.end() && piece->is_string()) {
      append_line(text, piece->get_ref<const std::string&>());
    }
  }
  return true;
}

std::optional<BadRequest> read_messages(const Json& body, ChatRequest& request) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array()) {
    return BadRequest{"Missing required parameter: 'messages'.", "messages"};
  }
  if (messages->empty()) {
    return BadRequest{
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
        "empty array instead.",
        "messages"};
  }
  for (const Json& message : *messages) {
    if (!message.is_object()) return BadRequest{"Invalid type for 'messages'.", "messages"};
    const auto role = message.find("role");
    if (role == message.end() || !role->is_string()) {
      return BadRequest{"Missing required parameter: 'messages[].role'.", "messages"};
    }
    const bool instructs = *role == "system" || *role == "developer";
    std::string& text = instructs ? request.system_text : request.user_text;
    const auto content = message.find("content");
    if (content != message.end() && !append_content(text, *content)) {
      return BadRequest{"Invalid type for 'messages[].content'.", "messages"};
    }
  }
  return std::nullopt;
}

std::optional<BadRequest> read_max_tokens(const Json& body, ChatRequest& request) {
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    const auto found = body.find(name);
    if (found == body.end() || found->is_null()) continue;
    if (!found->is_number_integer() || found->get<std::int64_t>() < 1) {
      return BadRequest{std::string("Invalid value for '") + name + "'.", name};
    }
    request.max_tokens = found->get<std::int64_t>();
  }
  return std::nullopt;
}

std::optional<BadRequest> read_form(const Json& body, ChatRequest& request) {
  const auto format = body.find("response_format");
  if (format == body.end() || format->is_null()) return std::nullopt;
  const auto type = format->is_object() ? format->find("type") : format->end();
  if (!format->is_object() || type == format->end() || !type->is_string()) {
    return BadRequest{"Missing required parameter: 'response_format.type'.", "response_format"};
  }
  if (*type == "text") return std::nullopt;
  if (*type != "json_object" && *type != "json_schema") {
    return BadRequest{"Invalid value for 'response_format.type'.", "response_format.type"};
  }
  request.form = AnswerForm::json;
  const auto wrapper = format->find("json_schema");
  if (wrapper == format->end() || !wrapper->is_object()) return std::nullopt;
  if (const auto schema = wrapper->find("schema"); schema != wrapper->end()) {
    request.schema = schema->dump();
  }
  return std::nullopt;
}

bool flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

void read_stream(const Json& body, ChatRequest& request) {
  request.stream = flag(body, "stream");
  const auto options = body.find("stream_options");
  if (options == body.end() || !options->is_object()) return;
  request.usage_in_stream = flag(*options, "include_usage");
}

}  // namespace

std::variant<ChatRequest, BadRequest> read_chat_request(std::string_view text) {
  const Json body = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) {
    return BadRequest{"We could not parse the JSON body of your request.", ""};
  }
  ChatRequest request;
  const auto model = body.find("model");
  if (model == body.end() || !model->is_string()) {
    return BadRequest{"you must provide a model parameter", ""};
  }
  request.model = model->get<std::string>();
  for (const auto read : {read_messages, read_max_tokens, read_form}) {
    if (std::optional<BadRequest> bad = read(body, request)) return *bad;
  }
  read_stream(body, request);
  return request;
}

}  // namespace docmill::sim
