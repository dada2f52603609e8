#include "tests/process/mill_test.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "base/file.h"

namespace docmill::process_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t kLongestCommandMs = 120'000;
constexpr std::int64_t kSimulatorStartMs = 10'000;
constexpr std::int64_t kLargestFileBytes = 1 << 30;

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  bool is_quoted = false;
  bool has_word = false;
  for (const char c : text) {
    if (c == '\'') {
      is_quoted = !is_quoted;
      has_word = true;
    } else if (c == ' ' && !is_quoted) {
      if (has_word) words.push_back(std::exchange(word, ""));
      has_word = false;
    } else {
      word += c;
      has_word = true;
    }
  }
  if (has_word) words.push_back(word);
  return words;
}

std::vector<json> json_lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

// "docmill-1f2e3d4c-217": the life's prefix, and the attempt.
void read_client_id(const json& id, LogLine& line) {
  if (!id.is_string()) return;
  const std::string text = id.get<std::string>();
  const std::size_t dash = text.rfind('-');
  if (dash == std::string::npos) throw std::runtime_error("a client request id without a dash");
  line.client_prefix = text.substr(0, dash);
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data() + dash + 1, end, line.attempt).ptr != end) {
    throw std::runtime_error("a client request id that does not end in the attempt: " + text);
  }
}

LogLine read_log_line(const json& object) {
  LogLine line;
  line.t_ms = object.at("t_ms").get<std::int64_t>();
  read_client_id(object.at("client_request_id"), line);
  line.path = object.at("path").get<std::string>();
  line.model = object.at("model").get<std::string>();
  line.fate = object.at("fate").get<std::string>();
  line.status = object.at("status").get<int>();
  line.has_key = object.at("authorization_seen").get<bool>();
  line.prompt_tokens = object.at("prompt_tokens").get<std::int64_t>();
  line.cached_tokens = object.at("cached_tokens").get<std::int64_t>();
  line.completion_tokens = object.at("completion_tokens").get<std::int64_t>();
  return line;
}

}  // namespace

std::vector<json> Ran::lines() const {
  return json_lines(out);
}

MillTest::MillTest() {
  fs::create_directory(folder / "logs");
  env = {{"PATH", "/usr/bin:/bin"},
         {"HOME", folder.string()},
         {"DOCMILL_CONFIG", (folder / "docmill.toml").string()},
         {"NO_COLOR", "1"}};
}

void MillTest::simulate(const std::string& flags) {
  simulate_at("0", flags);
}

void MillTest::simulate_again(const std::string& flags) {
  // While it was away its port may have gone to a server of another test, which ends soon.
  for (int tries = 1;; ++tries) {
    try {
      return simulate_at(port_, flags);
    } catch (const std::runtime_error&) {
      if (tries == 20) throw;
    }
    becomes_true(500, [] { return false; });
  }
}

void MillTest::simulate_at(const std::string& port, const std::string& flags) {
  stop_simulating();
  const fs::path port_file = folder / "port";
  fs::remove(port_file);
  simulator_.emplace(start(fmt::format("simulate --port {} --port-file {} --log {} {}", port,
                                       port_file.string(), log_file.string(), flags)));
  const bool listens = becomes_true(
      kSimulatorStartMs, [&] { return fs::exists(port_file) || !simulator_->is_running(); });
  if (!listens || !fs::exists(port_file)) {
    throw std::runtime_error("no simulator: " + err_of(*simulator_));
  }
  const std::string content = read(port_file);
  port_ = content.substr(0, content.find('\n'));
  url_ = fmt::format("http://127.0.0.1:{}/v1", port_);
}

void MillTest::stop_simulating() {
  simulator_.reset();
}

std::vector<LogLine> MillTest::sent() const {
  std::vector<LogLine> lines;
  if (!fs::exists(log_file)) return lines;
  for (const json& object : json_lines(read(log_file))) lines.push_back(read_log_line(object));
  return lines;
}

std::size_t MillTest::sent_count() const {
  if (!fs::exists(log_file)) return 0;
  const std::string log = read(log_file);
  return static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n'));
}

void MillTest::configure(std::string toml) {
  static constexpr std::string_view kUrl = "@URL@";
  for (std::size_t at = 0; (at = toml.find(kUrl)) != std::string::npos;) {
    toml.replace(at, kUrl.size(), url_);
  }
  write("docmill.toml", "[store]\npath = \"store.db\"\n" + toml);
}

fs::path MillTest::write(const std::string& name, std::string_view content) const {
  const fs::path path = folder / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string MillTest::read(const fs::path& path) const {
  return read_file(path, kLargestFileBytes).value();
}

std::vector<Text> MillTest::write_texts(const std::string& name, int count) const {
  static constexpr const char* kPlaces[] = {"harbour", "mill",  "ridge",
                                            "market",  "ferry", "quarry"};
  std::vector<Text> texts;
  std::string lines;
  for (int i = 0; i < count; ++i) {
    Text text;
    text.id = fmt::format("doc-{:05}", i);
    text.text = fmt::format("Report {} from the {}: {} boats came in, {} sacks were weighed.", i,
                            kPlaces[i % 6], i * 7 % 101, i * 31 % 997);
    lines += json({{"id", text.id}, {"text", text.text}}).dump() + "\n";
    texts.push_back(std::move(text));
  }
  write(name, lines);
  return texts;
}

Process MillTest::start(const std::string& words) {
  Command command;
  command.argv = split_words(words);
  const fs::path base = folder / "logs" / fmt::format("{:03}-{}", ++started_, command.argv.front());
  command.argv.insert(command.argv.begin(), DOCMILL_BINARY);
  command.argv.insert(command.argv.begin(), wrapper.begin(), wrapper.end());
  command.env = env;
  command.cwd = folder;
  command.in = input;
  command.out = base.string() + ".out";
  command.err = base.string() + ".err";
  Process process(command);
  outputs_[process.pid()] = {command.out, command.err};
  return process;
}

std::string MillTest::out_of(const Process& process) const {
  const fs::path& file = outputs_.at(process.pid()).out;
  return fs::exists(file) ? read(file) : "";
}

std::string MillTest::err_of(const Process& process) const {
  const fs::path& file = outputs_.at(process.pid()).err;
  return fs::exists(file) ? read(file) : "";
}

Ran MillTest::docmill(const std::string& words) {
  Process process = start(words);
  const std::optional<Exit> exit = process.wait(kLongestCommandMs);
  if (!exit) throw std::runtime_error("docmill " + words + " does not end: " + err_of(process));
  return {*exit, exit->code, out_of(process), err_of(process)};
}

json MillTest::status(const std::string& batch) {
  return docmill("status --json " + batch).json().at("batches").at(0);
}

int free_port() {
  constexpr int kPortsOfAProcess = 20;
  const int first = 10'000 + getpid() % 1000 * kPortsOfAProcess;  // below net.ipv4's 32768
  for (int port = first; port < first + kPortsOfAProcess; ++port) {
    const Fd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return port;
    }
  }
  throw std::runtime_error("no free port");
}

int test_scale() {
  const char* is_long = std::getenv("DOCMILL_LONG_TESTS");
  return is_long != nullptr && std::string_view(is_long) == "1" ? 5 : 1;
}

}  // namespace docmill::process_test
