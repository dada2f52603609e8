#pragma once

// Providers refuse parameters that others demand. What a refusal says of one teaches how to write
// the next request to that model.

#include <string>

#include "llm/model.h"

namespace docmill {

// The form without what `complaint` (the refused parameter and the message, lower case) names; the
// same form when it names nothing that can be done without. extra_body and service_tier are the
// user's word, and are not dropped.
Form repaired(const Form& form, const std::string& complaint);

}  // namespace docmill
