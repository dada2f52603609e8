#pragma once

// What `docmill init --provider NAME` writes: a short docmill.toml for one provider, with its
// current models, to be edited by a person.

#include <string>
#include <string_view>
#include <vector>

namespace docmill {

// In the order in which they are offered.
std::vector<std::string> config_template_names();

// The whole file. Throws UsageError that names the templates when `provider` is none of them.
std::string config_template(std::string_view provider);

}  // namespace docmill
