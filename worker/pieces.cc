#include "worker/pieces.h"

#include <algorithm>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"
#include "tasks/cutting.h"
#include "tasks/schema.h"

namespace docmill {
namespace {

// A shorter text is not cut any more, and pieces of pieces of pieces come to an end.
constexpr std::size_t kLeastToCut = 400;
constexpr int kMostLevels = 5;
// Of one cutting: a text of gigabytes for a model of a thousand tokens is a mistake.
constexpr std::size_t kMostPieces = 20'000;

}  // namespace

Pieces::Pieces(JobQueue& queue, const Models& models, std::vector<std::filesystem::path> tokenizers)
    : queue_(queue), models_(models), tokenizers_(std::move(tokenizers)) {
  for (const auto& [key, model] : models_) tokenizers_.count(model, "");
}

Pieces::~Pieces() = default;

std::optional<std::string> Pieces::text_of(const Job& job) {
  if (job.level == 0) return queue_.jobs().texts().text(job.input_id);
  return to_combine(queue_.jobs().pieces().pieces(job.id));
}

std::optional<ChatRequest> Pieces::request(const Job& job, const BatchSpec& spec,
                                           const Model& model) {
  const std::optional<std::string> text = text_of(job);
  if (!text) return std::nullopt;
  const bool is_combining = job.level > 0 || job.piece_level > 1;
  const bool is_to_mend =
      job.error_class == "invalid_output" || job.error_class == "changed_structure";
  const std::string complaint = is_to_mend ? job.error_message : "";
  return request_for(spec, model, *text, job.raised_output_tokens,
                     is_combining ? Step::combine : Step::whole, complaint);
}

TokenCount Pieces::count(const ChatRequest& request, const Model& model) {
  const TokenCount system = tokenizers_.count(model, request.system);
  const TokenCount user = tokenizers_.count(model, request.user);
  return {system.tokens + user.tokens, user.is_exact};
}

bool Pieces::is_too_long(const BatchSpec& spec, const ChatRequest& request, const TokenCount& input,
                         const Model& model) {
  if (!may_fit(request, input, model)) return true;
  if (spec.kind != TaskKind::translate) return false;
  const std::int64_t system = tokenizers_.count(model, request.system).tokens;
  return input.tokens - system > room_for_text(spec, model, system, true);
}

bool Pieces::fits_further_on(const BatchSpec& spec, const Route& route, int position,
                             const ChatRequest& request) {
  for (auto at = static_cast<std::size_t>(position) + 1; at < route.chain.size(); ++at) {
    const auto model = models_.find(route.chain[at].model);
    if (model == models_.end()) continue;
    if (!is_too_long(spec, request, count(request, model->second), model->second)) return true;
  }
  return false;
}

bool Pieces::may_cut(const Job& job, const ChatRequest& request) const {
  return request.raw_body.empty() && request.user.size() >= kLeastToCut &&
         job.level < kMostLevels && job.piece_level < kMostLevels;
}

bool Pieces::cut(const Job& job, const BatchSpec& spec, const ChatRequest& request,
                 const Model& model, bool in_half) {
  if (!may_cut(job, request)) return false;
  const std::optional<std::string> text = text_of(job);
  if (!text) return false;
  const TokenCount own = tokenizers_.count(model, *text);
  // Beside the text: the system's prompt, and what a prompt of the task's own puts around it.
  const std::int64_t beside = std::max<std::int64_t>(count(request, model).tokens - own.tokens, 0);
  std::int64_t most = room_for_text(spec, model, beside, own.is_exact);
  if (in_half) most = std::min(most, own.tokens / 2 + 1);
  const std::vector<NewPiece> pieces =
      cut_text(*text, most, overlap_tokens(spec, most),
               [&](std::string_view part) { return tokenizers_.count(model, part).tokens; });
  if (pieces.size() < 2 || pieces.size() > kMostPieces) return false;
  if (!queue_.cut(job, pieces)) return false;
  log_debug("job={} cut into {} pieces for {}", job.id.value, pieces.size(), model.key);
  return true;
}

const JsonSchema* Pieces::schema_of(const BatchSpec& spec) {
  if (spec.json_schema.empty()) return nullptr;
  const auto [place, is_new] = schemas_.try_emplace(spec.json_schema);
  if (is_new) {
    try {
      place->second = std::make_unique<JsonSchema>(spec.json_schema);
    } catch (const UsageError& error) {  // an older version let it through
      log_warning("task={} answers are not checked: {}", spec.task, error.what());
    }
  }
  return place->second.get();
}

CheckedAnswer Pieces::check(const Job& job, const BatchSpec& spec, const std::string& answer) {
  CheckedAnswer checked = check_answer(spec, answer, job.parent ? nullptr : schema_of(spec));
  if (spec.kind != TaskKind::translate) return checked;
  if (const auto text = text_of(job)) checked.problem = structure_.problem(*text, answer);
  return checked;
}

bool Pieces::gather(const Job& done, const BatchSpec& spec) {
  if (!done.parent) return false;
  PieceStore& store = queue_.jobs().pieces();
  bool has_changed = false;
  // The whole may be a piece itself.
  JobId piece = done.id;
  while (const std::optional<JobId> whole = store.completed_by(piece)) {
    has_changed = true;
    const std::vector<Piece> pieces = store.pieces(*whole);
    CHECK(!pieces.empty());
    const std::optional<std::string> output = joined(spec, pieces);
    if (!output) {
      store.make_ready(*whole);
      break;
    }
    const CheckedAnswer checked = check_answer(spec, *output, schema_of(spec));
    if (!checked.result) {
      queue_.fail_whole(pieces.back().id, done.batch, "invalid_output", checked.problem);
      break;
    }
    std::string problem;
    if (spec.kind == TaskKind::translate) {
      if (const auto text = store.text(*whole)) problem = structure_.problem(*text, *output);
    }
    queue_.finish_whole(*whole, done.batch, pieces.back().attempt, *output, problem);
    log_debug("job={} put together from {} pieces", whole->value, pieces.size());
    piece = *whole;
  }
  return has_changed;
}

}  // namespace docmill
