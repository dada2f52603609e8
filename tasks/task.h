#pragma once

// What the built-in tasks ask of a model, and which answers are results.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "llm/request.h"
#include "store/pieces.h"
#include "tasks/batch_spec.h"

namespace docmill {

class JsonSchema;

// The prompts and schema of a task, from what the user gave.
struct TaskParameters {
  std::string to;            // translate
  std::string from;          // translate; empty: the model sees for itself
  std::string instructions;  // added to the prompt
  std::string glossary;      // translate; a paragraph of the prompt (glossary_prompt)
  std::string schema_text;   // extract: the text of a JSON Schema
};

// A task of the config, or what the config makes of a built-in one. Templates (prompt_template.h)
// of
// {{to}}, {{from}}, {{instructions}} and {{schema}}; the prompt's also of {{text}}.
struct OwnTask {
  TaskKind kind = TaskKind::summarise;  // how long documents are put together, and answers checked
  std::string system;                   // empty: the built-in one of its kind
  std::string prompt;                   // empty: the text alone
  std::string schema_text;              // extract: unless --schema or --fields give another
};

// Fills everything of a spec but its routes. `own` null: a built-in task as it is. `task` is the
// name as given ("summarize" is known, too). Throws UsageError that names what is missing or wrong.
BatchSpec make_spec(const std::string& task, const TaskParameters& parameters,
                    const OwnTask* own = nullptr);

// What is wrong with the templates, "system: line 1, column 4: ..."; empty: nothing.
std::string own_task_problem(const OwnTask& own);

// The JSON Schema of `--fields "name, date, total number"`. Throws UsageError.
std::string schema_of_fields(const std::string& fields);

// What a request is for: a text as it is, or what earlier requests made of the pieces of one.
enum class Step { whole, combine };

// The request for a document. `raised_output_tokens`: a limit in place of the task's own.
// `complaint`: what was wrong with the last answer, for the model to mend.
ChatRequest request_for(const BatchSpec& spec, const Model& model, std::string text,
                        std::optional<std::int64_t> raised_output_tokens = std::nullopt,
                        Step step = Step::whole, const std::string& complaint = {});

// The limit to ask for once, when the answer to this request was cut off by its own. Nothing when
// the model allows no more.
std::optional<std::int64_t> raised_limit(const ChatRequest& request, const Model& model);

// False when a request of so many tokens can't fit the model; where they are not exact, even by the
// most sparing count. Between this and certainty the provider decides, at no cost.
bool may_fit(const ChatRequest& request, const TokenCount& input, const Model& model);

// The most tokens of text that a request should have: beside its prompt and its answer in the
// context, and, for a translation, such that the answer fits the model's output.
std::int64_t room_for_text(const BatchSpec& spec, const Model& model, std::int64_t system_tokens,
                           bool is_exact);

// How much of the piece before it one of so many tokens begins with: what stands across a cut is
// found by an extraction, and what is found twice counts once (joined()).
std::int64_t overlap_tokens(const BatchSpec& spec, std::int64_t most_tokens);

// What the pieces of a document come to. Nothing: it takes a request to combine them.
std::optional<std::string> joined(const BatchSpec& spec, const std::vector<Piece>& pieces);
// The text of that request.
std::string to_combine(const std::vector<Piece>& pieces);

struct CheckedAnswer {
  std::optional<std::string> result;  // absent: the answer is none
  std::string problem;  // why, one line; with a result: what another answer could do better
};

// Whether a model's whole answer is what the task asked for, and in which form it is kept: text, or
// the JSON value's text for extract.
// `schema` is the spec's, compiled; null: it is not looked at, as of a piece, whose answer need not
// have everything.
CheckedAnswer check_answer(const BatchSpec& spec, const std::string& text,
                           const JsonSchema* schema);

}  // namespace docmill
