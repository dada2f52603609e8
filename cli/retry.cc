// docmill retry BATCH: failed documents, and those held after crashes, once more.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "cli/open.h"
#include "tasks/batch_spec.h"
#include "worker/nudge.h"

namespace docmill {
namespace {

struct RetryFlags {
  std::string batch;
  std::string id;
  std::string error_class;
  std::string models;
};

Chain chain_of(const OpenedQueue& opened, const std::string& models) {
  Chain chain;
  for (std::size_t start = 0; start <= models.size();) {
    const std::size_t comma = std::min(models.find(',', start), models.size());
    chain.emplace_back(std::string(trimmed(std::string_view(models).substr(start, comma - start))));
    start = comma + 1;
  }
  for (const Link& link : chain) {
    if (!opened.config.models.contains(link.model)) {
      throw UsageError(fmt::format("--models: the config has no model \"{}\"", link.model));
    }
  }
  return chain;
}

// The route with that chain, added to the batch's spec if it has none; in a transaction, for a
// submit may be adding routes, too.
int route_with(OpenedQueue& opened, BatchId batch, const Chain& chain) {
  BatchSpec spec = parse_batch_spec(opened.queue.jobs().batch(batch).spec);
  for (std::size_t i = 0; i < spec.routes.size(); ++i) {
    if (spec.routes[i].chain == chain) return static_cast<int>(i);
  }
  spec.routes.push_back({fmt::format("retry-{}", spec.routes.size()), chain});
  opened.queue.jobs().set_spec(batch, to_json_text(spec));
  return static_cast<int>(spec.routes.size()) - 1;
}

int retry(const Global& global, const RetryFlags& flags) {
  const auto opened = open_queue(global);
  const Batch batch = batch_named(*opened, flags.batch);
  Chain chain;
  if (!flags.models.empty()) chain = chain_of(*opened, flags.models);
  Transaction transaction(opened->db);
  std::optional<int> route;
  if (!chain.empty()) route = route_with(*opened, batch.id, chain);
  const int retried = opened->queue.retry(batch.id, flags.id, flags.error_class, route);
  if (retried == 0 && !flags.id.empty()) {
    throw UsageError(fmt::format("{} has no failed or held document \"{}\"", batch.name, flags.id));
  }
  transaction.commit();
  nudge_worker(opened->store);
  say(global, fmt::format("{}: {} queued again", batch.name, counted(retried, "document")));
  if (retried == 0) {
    say(global, "documents that could not be read go again with submit, once they can be");
  }
  return kExitDone;
}

}  // namespace

Action add_retry(CLI::App& app, const Global& global) {
  CLI::App* command = app.add_subcommand("retry", "queue failed and held documents again");
  static RetryFlags flags;
  command->add_option("BATCH", flags.batch)->required();
  command->add_option("--id", flags.id, "this document alone");
  command->add_option("--class", flags.error_class, "those that failed with this class alone");
  command->add_option("--models", flags.models, "with this chain instead: A,B");
  return [&global] { return retry(global, flags); };
}

}  // namespace docmill
