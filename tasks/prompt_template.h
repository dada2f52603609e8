#pragma once

// Prompts of the user's own: mustache templates, filled in without any escaping. Values are not
// looked at again, so a document that holds {{text}} stays what it is.

#include <map>
#include <string>
#include <vector>

namespace docmill {

// Empty: it can be filled in. Else "line 2, column 5: ..." and what is wrong: a tag that does not
// end, a section, or a name that is none of `names`.
std::string template_problem(const std::string& text, const std::vector<std::string>& names);

// Of a template without a problem. A name without a value is nothing.
std::string filled_in(const std::string& text, const std::map<std::string, std::string>& values);

}  // namespace docmill
