#pragma once

// What a batch was asked to do, frozen at submit and stored with it: the prompt, the parameters,
// the schema, and the chains its jobs may walk. A config that changes later does not change it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "llm/model.h"

namespace docmill {

// requests: the documents are bodies of chat completions, and their answers whole replies.
enum class TaskKind { summarise, translate, extract, requests };

// Two routes may share a name: with order = "cheapest" each order that a document needs is one.
struct Route {
  std::string name;  // "default", or a [routes.NAME] of the config
  Chain chain;
  bool operator==(const Route&) const = default;
};

struct BatchSpec {
  std::string task;  // as results and reports name it
  TaskKind kind = TaskKind::summarise;
  std::map<std::string, std::string> parameters;  // as given: "to", "from", "instructions"
  std::string system;                             // the rendered prompt
  std::string prompt;                  // a template of the user's message; empty: the text
  std::string json_schema;             // extract only
  std::int64_t max_output_tokens = 0;  // 0: by the task and the document
  std::vector<Route> routes;           // a job's route is an index into this
  std::string brake = "50%";
  std::vector<std::string> regions;  // where documents may go; empty: anywhere
  bool operator==(const BatchSpec&) const = default;
};

// "large > small", for people.
std::string chain_text(const Chain& chain);

std::string to_json_text(const BatchSpec& spec);
// The store wrote it, so a text that is not a spec is a broken store: WorldError.
BatchSpec parse_batch_spec(const std::string& text);

// In words, what differs: `translates to "fr" there, to "de" here`. Empty when nothing does.
// Of routes that share a name the first is compared. Routes that only one of them knows do not
// count: the config may have gained some since, and `docmill retry --models` adds its own.
std::string difference(const BatchSpec& was, const BatchSpec& wanted);

}  // namespace docmill
