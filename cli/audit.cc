#include "cli/audit.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/errors.h"
#include "base/money.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "simulate/answer.h"
#include "store/report_reader.h"
#include "tasks/batch_spec.h"

namespace docmill {
namespace {

// "docmill-1f2e3d4c-217": what stands before it is another in each life.
std::int64_t attempt_of(const nlohmann::json& line) {
  const std::string id = word_at(line, "client_request_id");
  const std::size_t dash = id.rfind('-');
  if (dash == std::string::npos) return 0;
  return std::strtoll(id.c_str() + dash + 1, nullptr, 10);
}

void read_log(const AuditInputs& inputs, const std::set<std::int64_t>& ledger, Audit& audit) {
  std::ifstream log(inputs.log);
  for (std::string text; std::getline(log, text);) {
    const auto line = parse_json(text);
    if (!line || !line->is_object())
      throw WorldError(inputs.log.string() + ": not the simulator's");
    ++audit.requests;
    if (!ledger.contains(attempt_of(*line))) ++audit.unrecorded;
    audit.billed_pusd += line->value("prompt_tokens", std::int64_t{0}) * inputs.input_pusd +
                         line->value("completion_tokens", std::int64_t{0}) * inputs.output_pusd;
  }
}

}  // namespace

bool Audit::holds() const {
  return lost == 0 && wrong == 0 && unrecorded == 0 && repeated <= reported && damage.empty() &&
         measured_pusd <= billed_pusd && billed_pusd <= measured_pusd + possible_pusd;
}

Audit audit(Database& db, const AuditInputs& inputs) {
  Audit audit;
  StoreReader reader(db);
  const Batch batch = batch_named(reader, inputs.batch);
  const std::string system = parse_batch_spec(batch.spec).system;
  std::set<std::int64_t> ledger;
  std::set<JobId> asked;
  ReportReader(db).each_attempt(batch.id, [&](const AttemptRow& attempt) {
    ledger.insert(attempt.id.value);
    asked.insert(attempt.job);
    if (attempt.outcome != "answered") ++audit.reported;
    if (attempt.cost_basis == "unknown") ++audit.unknown;
    audit.measured_pusd += attempt.cost_pusd.value_or(0);
    if (attempt.cost_basis == "unknown" || attempt.is_open) {
      audit.possible_pusd += attempt.ceiling_pusd.value_or(0);
    }
  });
  read_log(inputs, ledger, audit);
  audit.repeated =
      std::max<std::int64_t>(0, audit.requests - static_cast<std::int64_t>(asked.size()));
  audit.documents = static_cast<std::int64_t>(inputs.texts.size());
  reader.each_result(batch.id, "", [&](const ResultRow& row) {
    const auto text = inputs.texts.find(row.item_key);
    if (row.state == "failed") ++audit.failed;
    if (row.state != "done") return;
    ++audit.done;
    const bool is_own = text != inputs.texts.end() && row.output &&
                        *row.output == simulated_answer(system, text->second);
    if (!is_own) ++audit.wrong;
  });
  audit.lost = audit.documents - audit.done - audit.failed;
  audit.damage = db.damage();
  return audit;
}

std::string audit_text(const Audit& a) {
  std::string text;
  text += fmt::format(
      "documents  {} submitted, {} done, {} failed, {} lost, {} with another's result\n",
      with_commas(a.documents), with_commas(a.done), a.failed, a.lost, a.wrong);
  text += fmt::format("requests   {} reached the provider, {} of them not in the ledger\n",
                      with_commas(a.requests), a.unrecorded);
  text += fmt::format("repeated   {}; the ledger names {} attempts without an answer, {} unknown\n",
                      with_commas(a.repeated), with_commas(a.reported), with_commas(a.unknown));
  text += fmt::format("money      {} measured <= {} billed <= {} measured and possible\n",
                      exact_usd(a.measured_pusd), exact_usd(a.billed_pusd),
                      exact_usd(a.measured_pusd + a.possible_pusd));
  text += fmt::format("the file   {}\n", a.damage.empty() ? "ok" : a.damage);
  return text;
}

}  // namespace docmill
