#pragma once

// A request as the tasks see it, and its bytes for a provider.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/model.h"

namespace docmill {

struct ChatRequest {
  std::string system;
  std::string user;
  std::int64_t max_output_tokens = 1024;
  std::string json_schema;  // the text of a JSON Schema the answer must match; empty: plain text
  // A whole body of chat completions, sent as it is but for the model's name; the rest is not read,
  // max_output_tokens aside: how long all its answers may be together.
  std::string raw_body = {};
};

struct EncodedRequest {
  std::string path;  // appended to the provider's base_url
  std::string body;
  // What no tokenizer passes: one token a byte of the body, and the dialect's own per message.
  std::int64_t max_input_tokens = 0;
  std::int64_t max_output_tokens = 0;  // the request's, within the model's
};

// The model that a whole body asks for, as it calls it; empty: none.
std::string model_in_body(const std::string& raw_body);
// By the config's name for it, or by the provider's.
bool is_model(const Model& model, const std::string& named);

// What in a whole body makes the provider bill what no count of its bytes bounds: pictures,
// searches, other media. Empty: nothing.
std::string unbounded_in_body(const std::string& raw_body);

// Writes requests to one model. What those of a batch have in common is written once, and kept
// until a request differs in it. The same request, model and form give the same bytes.
class RequestEncoder {
 public:
  // The same model and dialect each time.
  EncodedRequest encode(const ChatRequest& request, const Model& model, const Form& form,
                        Dialect dialect);

 private:
  enum class Hole { none, text, limit };
  // A body with holes for the text and for the output limit.
  struct Frame {
    struct Part {
      std::string literal;
      Hole hole = Hole::none;  // after it
    };
    Form form;
    std::string system;
    std::string json_schema;
    std::vector<Part> parts;
    std::size_t bytes = 0;

    bool fits(const ChatRequest& request, const Form& wanted) const;
    static Frame of(const ChatRequest& request, const Model& model, const Form& form,
                    Dialect dialect);
  };
  Frame frame_;
};

struct TokenCount {
  std::int64_t tokens = 0;
  bool is_exact = false;  // by the model's own tokenizer; else by scripts, as below
};

// Tokens of a text by its scripts, for estimates and for "does it fit": never for cost.
std::int64_t estimated_tokens(std::string_view text);

}  // namespace docmill
