// docmill completion SHELL: a script that completes commands and flags, made of the same
// declarations as --help.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/errors.h"
#include "cli/declared.h"
#include "cli/open.h"

namespace docmill {
namespace {

// What may follow a command: its own commands, its flags and those of docmill itself.
std::vector<std::string> words_after(const CLI::App& command, const CLI::App& root) {
  std::vector<std::string> words;
  for (const CLI::App* own : commands_of(command)) words.push_back(own->get_name());
  for (const CLI::App* app : {&command, &root}) {
    for (const Flag& flag : flags_of(*app)) {
      words.insert(words.end(), flag.names.begin(), flag.names.end());
    }
  }
  for (const CLI::App* own : commands_of(command)) {
    for (const Flag& flag : flags_of(*own)) {
      words.insert(words.end(), flag.names.begin(), flag.names.end());
    }
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// In single quotes, for any of the shells.
std::string quoted(const std::string& text, const std::string& quote) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? quote : std::string(1, c);
  return out + "'";
}

std::string bash_script(const CLI::App& root) {
  std::vector<std::string> names;
  std::string cases;
  for (const CLI::App* command : commands_of(root)) {
    names.push_back(command->get_name());
    cases += fmt::format("    {}) words='{}' ;;\n", names.back(),
                         fmt::join(words_after(*command, root), " "));
  }
  std::vector<std::string> first = names;
  for (const Flag& flag : flags_of(root)) {
    first.insert(first.end(), flag.names.begin(), flag.names.end());
  }
  return fmt::format(
      R"(# bash completion for docmill: source this file, or put it into
# /usr/share/bash-completion/completions/docmill
_docmill() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command='' word words
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in
      {}) command="$word"; break ;;
    esac
  done
  case "$command" in
    '') words='{}' ;;
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -o bashdefault -F _docmill docmill
)",
      fmt::join(names, "|"), fmt::join(first, " "), cases);
}

std::string zsh_text(const std::string& text, const std::string& special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_flags(const CLI::App& app) {
  std::string lines;
  for (const Flag& flag : flags_of(app)) {
    for (const std::string& name : flag.names) {
      lines += " \\\n        " + quoted(fmt::format("*{}[{}]{}", name, zsh_text(flag.says, "[]:\\"),
                                                    flag.takes_value ? ":value:_files" : ""),
                                        R"('\'')");
    }
  }
  return lines;
}

std::string zsh_script(const CLI::App& root) {
  std::string commands, cases;
  for (const CLI::App* command : commands_of(root)) {
    commands +=
        "    " +
        quoted(command->get_name() + ":" + zsh_text(command->get_description(), ":\\"), R"('\'')") +
        "\n";
    std::vector<std::string> own;
    for (const CLI::App* below : commands_of(*command)) own.push_back(below->get_name());
    const std::string operands = own.empty() ? std::string("'*:file:_files'")
                                             : fmt::format("'1:command:({})'", fmt::join(own, " "));
    cases += fmt::format("    {})\n      _arguments{}{} \\\n        {} ;;\n", command->get_name(),
                         zsh_flags(*command), zsh_flags(root), operands);
  }
  return fmt::format(
      R"(#compdef docmill
# zsh completion for docmill: put this file as _docmill into a folder of $fpath
_docmill() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
{}  esac
}}
if [[ "$funcstack[1]" = _docmill ]]; then
  _docmill "$@"
else
  compdef _docmill docmill
fi
)",
      commands, cases);
}

std::string fish_flags(const CLI::App& app, const std::string& condition) {
  std::string lines;
  for (const Flag& flag : flags_of(app)) {
    std::string names;
    for (const std::string& name : flag.names) {
      names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    lines += fmt::format("complete -c docmill{}{}{} -d {}\n", condition, names,
                         flag.takes_value ? " -r" : "", quoted(flag.says, R"(\')"));
  }
  return lines;
}

std::string fish_script(const CLI::App& root) {
  std::string lines = "# fish completion for docmill: ~/.config/fish/completions/docmill.fish\n" +
                      fish_flags(root, "");
  for (const CLI::App* command : commands_of(root)) {
    const std::string seen =
        fmt::format(" -n '__fish_seen_subcommand_from {}'", command->get_name());
    lines += fmt::format("complete -c docmill -f -n __fish_use_subcommand -a {} -d {}\n",
                         command->get_name(), quoted(command->get_description(), R"(\')"));
    for (const CLI::App* below : commands_of(*command)) {
      lines += fmt::format("complete -c docmill -f{} -a {} -d {}\n", seen, below->get_name(),
                           quoted(below->get_description(), R"(\')"));
      lines += fish_flags(*below, seen);
    }
    lines += fish_flags(*command, seen);
  }
  return lines;
}

}  // namespace

Action add_completion(CLI::App& app, const Global&) {
  CLI::App* command = app.add_subcommand("completion", "a shell's completion script");
  static std::string shell;
  command->add_option("SHELL", shell, "bash, zsh or fish")->required();
  return [&app] {
    if (shell != "bash" && shell != "zsh" && shell != "fish") {
      throw UsageError("completion: bash, zsh or fish");
    }
    put(std::nullopt, shell == "bash"  ? bash_script(app)
                      : shell == "zsh" ? zsh_script(app)
                                       : fish_script(app));
    return kExitDone;
  };
}

}  // namespace docmill
