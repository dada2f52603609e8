// A provider on loopback that behaves like the real ones, well or badly, as asked.
//
//   POST <any path>/chat/completions   one answer, streamed or not
//   GET  <any path>/models             the presets
//   anything else                      404, with OpenAI's error body
//
// The model's name may script what happens to its requests, in suffixes after a '+':
//
//   deepseek-v3.2+500              always 500; any kind of the mix works so
//   m+500=0.05+reset=0.01          by share, in place of SimulatorOptions::mix
//   m+latency=50ms+p99=80ms        us, ms, s or m; a bare number is ms
//   m+rate=600+burst=10            requests a minute for this very name, suffixes included
//   m+in-flight=4                  above it 429 without headers; counts all models' requests
//   m+fail-first=2                 500 for the first 2 requests with the same user text
//   m+retry-after=40ms             what the 429 of a mix says
//   m+cached=0.5                   share of prompt tokens reported as cached
//   m+interval=1ms                 between the bytes of a trickle
//
// Before a reply leaves, its line is in the log. One thread, one epoll set; a waiting
// request is a suspended connection and an entry in a heap, so thousands cost no thread each.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "simulate/options.h"

namespace docmill {

struct SimulatorCounters {
  std::uint64_t requests = 0;
  std::uint64_t answered = 0;  // whole answers: also trickled, after blank lines, without usage
  std::map<std::string, std::uint64_t> by_fate;
};

class Simulator {
 public:
  // Listens when it returns. Throws std::invalid_argument for options that make no sense and
  // std::runtime_error, with the reason, when the port or the log cannot be had.
  explicit Simulator(SimulatorOptions options);
  ~Simulator();
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  std::uint16_t port() const;

  // Serves until stop(), once. Requests that wait for their reply then lose their connection.
  // When it returns, the port is free. Throws std::runtime_error when the log cannot be written.
  // It holds as many connections as the process may open files, less 64.
  void run();

  // From any thread or a signal handler, also before run().
  void stop() noexcept;

  // For the thread that calls run(), before or after it; or any other once that has ended.
  const SimulatorCounters& counters() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace docmill
