// docmill init: writes a commented docmill.toml and checks it.

#include <fcntl.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "cli/open.h"
#include "config/templates.h"

namespace docmill {
namespace {

int init(const Global& global, const std::string& provider) {
  const std::string file = global.config.value_or("docmill.toml");
  const std::string text = config_template(provider);
  const Config config = parse_config(text, file);
  const Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.is_open()) {
    if (errno == EEXIST) throw UsageError(file + " is there already; it stays as it is");
    throw world_error_from_errno(file);
  }
  write_all(fd.get(), text);
  say(global, "wrote " + file);
  for (const auto& [name, used] : config.providers) {
    if (!used.key_env.empty()) say(global, fmt::format("put the key into ${}", used.key_env));
  }
  say(global, "then: docmill run summarise FOLDER --out summaries/");
  return kExitDone;
}

}  // namespace

Action add_init(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("init", "write a commented docmill.toml");
  static std::string provider = "openai";
  std::string names;
  for (const std::string& name : config_template_names())
    names += (names.empty() ? "" : ", ") + name;
  command->add_option("--provider", provider, names);
  return [&global] { return init(global, provider); };
}

}  // namespace docmill
