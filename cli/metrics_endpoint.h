#pragma once

// GET /metrics, /healthz and /readyz on 127.0.0.1. A thread serves them, and sees nothing but what
// it was given last.

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"

namespace docmill {

class MetricsEndpoint {
 public:
  // Throws WorldError when the port is taken. `clock` must outlive it.
  MetricsEndpoint(const Clock& clock, int port);
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;

  // Also says that the worker turns: /healthz is 503 when nothing was published for a minute.
  // `is_ready`: it takes work; /readyz is 503 else.
  void publish(std::string metrics, bool is_ready);

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

}  // namespace docmill
