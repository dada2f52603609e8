// Which file is read. A docmill.toml in the current folder may have been planted by whoever can
// write there, and it decides where keys and documents go; so it counts only when nobody but the
// caller and root can have written it.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/errors.h"
#include "config/config.h"

namespace docmill {
namespace {

using std::filesystem::path;

std::string reason(int error) {
  return std::generic_category().message(error);
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

bool is_ours(const struct stat& info) {
  return info.st_uid == geteuid() || info.st_uid == 0;
}

// Why others may have written what stands in `folder`; empty when they cannot.
std::string folder_distrust(const path& folder) {
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) return "its folder cannot be looked at";
  const bool open_to_all = (info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0;
  return open_to_all ? "everybody can write to its folder" : "";
}

// Why `file` is not to be trusted; empty when it is.
std::string distrust(const path& file, const struct stat& link) {
  if (!is_ours(link)) return "it belongs to somebody else";
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return "it is a link to nothing: " + reason(errno);
  if (!S_ISREG(info.st_mode)) return "it is not a regular file";
  if (!is_ours(info)) return "it is a link to somebody else's file";
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return "others can write to it (chmod go-w docmill.toml)";
  }
  const std::string why = folder_distrust(file.parent_path());
  if (!why.empty() || !S_ISLNK(link.st_mode)) return why;
  std::error_code error;
  const path target = std::filesystem::canonical(file, error);
  return error ? error.message() : folder_distrust(target.parent_path());
}

std::optional<path> in_current_folder() {
  const path file = "./docmill.toml";
  struct stat link {};
  if (lstat(file.c_str(), &link) != 0) return std::nullopt;  // none, or none that we could read
  const std::string why = distrust(file, link);
  if (why.empty()) return file;
  throw UsageError(
      fmt::format("{} is not used: {}. Look at it, and name it if it is yours: "
                  "--config {}",
                  file.string(), why, file.string()));
}

bool is_there(const path& file) {
  struct stat info {};
  return stat(file.c_str(), &info) == 0;
}

path named_file(const std::string& name, std::string_view by) {
  struct stat info {};
  if (stat(name.c_str(), &info) != 0) {
    throw UsageError(fmt::format("{} names {}: {}", by, name, reason(errno)));
  }
  if (S_ISDIR(info.st_mode)) {
    throw UsageError(fmt::format("{} names {}, which is a folder; name the file in it", by, name));
  }
  return name;
}

}  // namespace

std::optional<path> find_config(const std::optional<std::string>& named) {
  if (named) return named_file(*named, "--config");
  if (const auto name = variable("DOCMILL_CONFIG")) return named_file(*name, "DOCMILL_CONFIG");
  if (const std::optional<path> local = in_current_folder()) return local;
  path folder = variable("XDG_CONFIG_HOME").value_or("");
  if (!folder.is_absolute()) {
    const std::optional<std::string> home = variable("HOME");
    folder = home ? path(*home) / ".config" : path();
  }
  for (const path& file : {folder / "docmill/docmill.toml", path("/etc/docmill/docmill.toml")}) {
    if (file.is_absolute() && is_there(file)) return file;
  }
  return std::nullopt;
}

}  // namespace docmill
