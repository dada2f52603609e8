// Where a command line begins and exceptions end.

#include <curl/curl.h>
#include <fmt/format.h>
#include <signal.h>

#include <SQLiteCpp/Exception.h>
#include <CLI/CLI.hpp>
#include <clocale>
#include <map>

#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "store/database.h"

namespace docmill {
namespace {

using Add = Action (*)(CLI::App&, const Global&);

constexpr struct {
  const char* name;
  Add add;
} kCommands[] = {
    {"init", add_init},
    {"submit", add_submit},
    {"run", add_run},
    {"work", add_work},
    {"wait", add_wait},
    {"status", add_status},
    {"results", add_results},
    {"report", add_report},
    {"retry", add_retry},
    {"explain", add_explain},
    {"pause", add_pause},
    {"resume", add_resume},
    {"cancel", add_cancel},
    {"settle", add_settle},
    {"check", add_check},
    {"backup", add_backup},
    {"prune", add_prune},
    {"simulate", add_simulate},
    {"selftest", add_selftest},
    {"prices", add_prices},
    {"tasks", add_tasks},
    {"trial", add_trial},
    {"completion", add_completion},
    {"man", add_man},
};

std::string version() {
  return fmt::format("docmill {}\nSQLite {}\n{}\n", DOCMILL_VERSION, sqlite_version(),
                     curl_version());
}

void declare_global(CLI::App& app, Global& global) {
  app.add_option("--config", global.config, "the config file");
  app.add_option("--store", global.store, "the store's file");
  app.add_flag("-q,--quiet", global.quiet, "nothing on stderr but errors");
  app.add_flag("-v,--verbose", global.verbose, "log requests that fail and texts that are cut");
  app.add_option("--log", global.log, "text, or json: a line of the log as an object")
      ->envname("DOCMILL_LOG")
      ->check(CLI::IsMember({"text", "json"}));
  app.set_version_flag("--version", version());
}

int fail(int code, const std::string& message) {
  if (log_is_for_machines()) {
    log_error("{}", message);
    return code;
  }
  fmt::print(stderr, "docmill: {}\n", printable_text(message));
  return code;
}

// The command that was probably meant.
std::string about_command(const std::string& word) {
  std::vector<std::string> names;
  for (const auto& command : kCommands) names.emplace_back(command.name);
  const auto near = nearest(word, names);
  return fmt::format(
      "unknown command \"{}\"; {}", word,
      near ? fmt::format("did you mean \"{}\"?", *near) : "docmill --help lists them");
}

// The flag that was probably meant, for an argument that nobody expected.
std::string about_extras(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) return error.what();
  const std::vector<std::string> extras = app.remaining(true);
  std::vector<std::string> flags;
  for (const CLI::App* owner : {&app, static_cast<const CLI::App*>(chosen.front())}) {
    for (const CLI::Option* option : owner->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  for (const std::string& extra : extras) {
    const std::string flag = extra.substr(0, extra.find('='));
    if (!flag.starts_with("--")) continue;
    const auto near = nearest(flag, flags);
    return fmt::format(
        "{} has no flag {}; {}", chosen.front()->get_name(), flag,
        near ? fmt::format("did you mean {}?", *near)
             : fmt::format("docmill {} --help lists its flags", chosen.front()->get_name()));
  }
  return error.what();
}

int dispatch(int argc, char** argv) {
  static Global global;
  CLI::App app("docmill: documents through language models, with an account of every cent");
  app.fallthrough();
  declare_global(app, global);
  app.require_subcommand(1);
  std::map<std::string, Action> actions;
  for (const auto& command : kCommands) actions[command.name] = command.add(app, global);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    if (argc > 1 && argv[1][0] != '-' && !actions.contains(argv[1])) {
      return fail(kExitUsage, about_command(argv[1]));
    }
    return fail(kExitUsage, about_extras(app, error));
  }
  const std::string command = app.get_subcommands().front()->get_name();
  const LogLevel usual = command == "work" ? LogLevel::info : LogLevel::warning;
  set_up_log(global.quiet     ? LogLevel::error
             : global.verbose ? LogLevel::debug
                              : usual,
             global.log == "json");
  return actions.at(command)();
}

}  // namespace
}  // namespace docmill

int main(int argc, char** argv) {
  using namespace docmill;
  signal(SIGPIPE, SIG_IGN);
  std::setlocale(LC_CTYPE, "C.UTF-8");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  try {
    return dispatch(argc, argv);
  } catch (const PipeClosed&) {
    return kExitDone;
  } catch (const UsageError& error) {
    return fail(kExitUsage, error.what());
  } catch (const WorldError& error) {
    return fail(kExitWorld, error.what());
  } catch (const SQLite::Exception& error) {
    const std::string damage = damage_met(error);
    return fail(kExitWorld, damage.empty() ? fmt::format("the store: {}", error.what()) : damage);
  } catch (const std::exception& error) {
    return fail(kExitWorld, error.what());
  }
}
