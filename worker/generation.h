#pragma once

// One reading of the config at work: what its models cost, the lanes to them, their limits and
// breakers. A reload makes another; requests that fly end under the one that sent them, which goes
// when the last of them has.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/price_book.h"
#include "llm/request.h"
#include "queue/job_queue.h"
#include "worker/lane.h"
#include "worker/options.h"
#include "worker/pieces.h"

namespace docmill {

// What the worker needs to know of the config. Providers without a usable key are named with the
// reason in `no_key`; their lanes are paused.
struct WorkerSetup {
  const Providers& providers;
  const Models& models;
  std::map<std::string, std::string> no_key;
  std::vector<std::filesystem::path> tokenizer_folders = {};
};

struct Generation {
  // Limits begin with what the ledger says was sent in the last minute. Throws UsageError when a
  // tokenizer's file is none. All must outlive it.
  Generation(JobQueue& queue, WorkerSetup setup, const WorkerOptions& options, std::int64_t now_ms);

  const WorkerSetup setup;
  PriceBook prices;
  Pieces pieces;
  std::map<std::string, Limits> provider_limits;
  std::map<std::string, Breaker> hosts;                // by origin
  std::map<std::string, std::unique_ptr<Lane>> lanes;  // by model key
  std::map<std::string, RequestEncoder> encoders;      // by model key
};

}  // namespace docmill
