// Completions as text: one JSON object, or server-sent events. Internal to replies.

#pragma once

#include <string>

#include "simulate/reply.h"

namespace docmill::sim {

// `fate` bends the text where it is about content: no_choices, no_content, no_usage, bad_json.
std::string completion_json(const Completion& completion, Fate fate);
std::string completion_events(const Completion& completion, Fate fate);

// The start of a body that never ends.
std::string endless_json(const Completion& completion);
std::string endless_events(const Completion& completion);

// One more event of an endless stream.
std::string delta_event(const Completion& completion, const std::string& text);

}  // namespace docmill::sim
