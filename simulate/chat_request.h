// What the simulator understands of a chat completions request.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace docmill::sim {

enum class AnswerForm : unsigned char { prose, json };

struct ChatRequest {
  std::string model;        // as asked, suffixes included
  std::string system_text;  // of the roles system and developer, joined by newlines
  std::string user_text;    // of all other roles
  AnswerForm form = AnswerForm::prose;
  std::string schema;  // JSON Schema as text; empty when none was given
  std::optional<std::int64_t> max_tokens;
  bool stream = false;
  bool usage_in_stream = false;
};

// Why a body is no request; `parameter` may be empty.
struct BadRequest {
  std::string message;
  std::string parameter;
};

std::variant<ChatRequest, BadRequest> read_chat_request(std::string_view body);

}  // namespace docmill::sim
