// docmill man: docmill(1), made of the same declarations as --help.

#include <fmt/format.h>

#include "cli/declared.h"
#include "cli/open.h"

namespace docmill {
namespace {

// man(7): a backslash begins an escape, and so does a dot or a quote at the beginning of a line.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (out.empty() && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(const std::string& text) {
  return "\\fB" + roff(text) + "\\fR";
}

std::string flags_text(const CLI::App& app) {
  std::string text;
  for (const Flag& flag : flags_of(app)) {
    std::string names;
    for (const std::string& name : flag.names) {
      names += (names.empty() ? "" : ", ") + bold(name);
    }
    text += fmt::format(".TP\n{}{}\n{}\n", names, flag.takes_value ? " \\fIVALUE\\fR" : "",
                        roff(flag.says));
  }
  return text;
}

std::string operands_of(const CLI::App& command) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    const bool is_many = option->get_expected_max() > 1;
    const std::string name = option->get_name(true) + (is_many ? "..." : "");
    text += " \\fI" + roff(option->get_required() ? name : "[" + name + "]") + "\\fR";
  }
  return text;
}

std::string command_text(const CLI::App& command, const std::string& before) {
  const std::string name = before + command.get_name();
  std::string text = fmt::format(".SS {}{}\n{}.\n{}", bold(name), operands_of(command),
                                 roff(command.get_description()), flags_text(command));
  for (const CLI::App* below : commands_of(command)) text += command_text(*below, name + " ");
  return text;
}

constexpr const char* kEnd = R"roff(.SH EXIT STATUS
.TP
0
done
.TP
1
finished, but some documents failed
.TP
2
a mistake in flags, config or input; the message names it and the fix
.TP
3
the store or the machine failed
.TP
4
waits for a person
.TP
130
interrupted
.SH ENVIRONMENT
.TP
\fBDOCMILL_CONFIG\fR, \fBDOCMILL_STORE\fR, \fBDOCMILL_LOG\fR
in place of \-\-config, \-\-store and \-\-log
.TP
\fBOPENAI_API_KEY\fR and others that a provider's \fIkey_env\fR names
keys; read once by \fBwork\fR, \fBrun\fR and \fBcheck\fR, and wiped
.TP
\fBNO_COLOR\fR
no colours
.SH FILES
.TP
\fI./docmill.toml\fR, \fI$XDG_CONFIG_HOME/docmill/docmill.toml\fR, \fI/etc/docmill/docmill.toml\fR
the config, the first that is there; every key is explained in
\fI/usr/share/doc/docmill/examples/docmill.toml\fR
.TP
\fI/var/lib/docmill/docmill.db\fR
the store of the service
.SH SIGNALS
\fBwork\fR takes SIGTERM and SIGINT as the wish to stop: what is in flight is kept until it has
answered; a second one cuts it. SIGHUP reads the config again.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1),
/usr/share/doc/docmill/operations.md
)roff";

std::string page(const CLI::App& root) {
  std::string text = fmt::format(
      ".TH DOCMILL 1 \"\" \"docmill {}\" \"User Commands\"\n"
      ".SH NAME\ndocmill \\- documents through language models, with an account of every cent\n"
      ".SH SYNOPSIS\n.B docmill\n[\\fIFLAGS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n"
      ".SH DESCRIPTION\n"
      "Documents are submitted into a durable queue; a worker has models summarise, translate or\n"
      "extract from them under rate limits and hard caps; every request is in the ledger before "
      "it\n"
      "is sent. Nothing submitted is lost, and no known result is paid for twice.\n"
      ".SH FLAGS\nBefore or after any command.\n",
      DOCMILL_VERSION);
  text += flags_text(root) + ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(root)) text += command_text(*command, "");
  return text + kEnd;
}

}  // namespace

Action add_man(CLI::App& app, const Global&) {
  app.add_subcommand("man", "docmill(1) as roff")->group("");
  return [&app] {
    put(std::nullopt, page(app));
    return kExitDone;
  };
}

}  // namespace docmill
