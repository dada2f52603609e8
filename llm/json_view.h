#pragma once

// JSON that is read in place: of a reply, or an event of a stream, most members are read by nobody.

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

namespace docmill {

using JsonView = simdjson::dom::element;

// What parse_json() takes, and so bounded. Good until the thread's next call.
std::optional<JsonView> view_json(std::string_view text);
// Only what simdjson takes, small and without exception, however slight. Good until the thread's
// next call of this one.
std::optional<JsonView> quick_view_json(std::string_view text);

// The last of that key counts. Nothing: there is none, or `of` is no object.
std::optional<JsonView> member(JsonView of, const char* key);
// "error" is there, and neither null nor, beside an answer, empty, as some always send it.
bool has_error(JsonView of);
// Only what is an object, or an array that is not empty.
std::optional<JsonView> object_at(JsonView of, const char* key);
std::optional<simdjson::dom::array> filled_array_at(JsonView of, const char* key);
// The string at a key; empty when there is none.
std::string_view word_at(JsonView of, const char* key);

// Adds a message's content, which is a string or an array whose parts of type "text" count. False:
// there was no text in it.
bool add_text(JsonView content, std::string& text);

// One line.
std::string to_text(JsonView value);

}  // namespace docmill
