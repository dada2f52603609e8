#pragma once

// A document as the queue takes it.

#include <cstdint>
#include <string>

#include "documents/document.h"
#include "queue/job_queue.h"
#include "tasks/batch_spec.h"

namespace docmill {

// What tells one version of a document from another: 32 bytes.
std::string content_hash(const Document& document);

// What tells one request from another, whichever model it goes to: 32 bytes.
std::string request_hash(const BatchSpec& spec, const Document& document);

NewJob new_job(Document document, std::int64_t priority, int route);

}  // namespace docmill
