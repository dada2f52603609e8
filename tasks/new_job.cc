#include "tasks/new_job.h"

#include <utility>

#include "base/sha256.h"

namespace docmill {

std::string content_hash(const Document& document) {
  return document.error.empty() ? sha256_of_parts({document.text})
                                : sha256_of_parts({"unreadable", document.error});
}

std::string request_hash(const BatchSpec& spec, const Document& document) {
  return sha256_of_parts({std::to_string(static_cast<int>(spec.kind)), spec.system, spec.prompt,
                          spec.json_schema, std::to_string(spec.max_output_tokens), document.text});
}

NewJob new_job(Document document, std::int64_t priority, int route) {
  NewJob job;
  job.content_hash = content_hash(document);
  job.item_key = std::move(document.id);
  job.source = std::move(document.source);
  job.extra = std::move(document.extra);
  job.priority = priority;
  job.route = route;
  if (document.error.empty()) {
    job.text = std::move(document.text);
  } else {
    job.error_class = "unreadable";
    job.error_message = std::move(document.error);
  }
  return job;
}

}  // namespace docmill
