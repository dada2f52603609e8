#pragma once

// A document as the queue takes it.

#include <cstdint>
#include <string>

#include "documents/document.h"
#include "queue/job_queue.h"

namespace docmill {

// What tells one version of a document from another: 32 bytes.
std::string content_hash(const Document& document);

NewJob new_job(Document document, std::int64_t priority, int route);

}  // namespace docmill
