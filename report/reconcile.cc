#include "report/reconcile.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/money.h"
#include "base/text.h"
#include "llm/json_text.h"
#include "llm/price_book.h"
#include "report/table.h"

namespace docmill {
namespace {

struct Amount {
  const char* name;
  std::string value;
  bool is_text = false;
};

std::vector<Amount> amounts_of(const Reconciled& r) {
  const auto count = [](std::int64_t value) { return std::to_string(value); };
  return {{"ledger_requests", count(r.ledger_requests)},
          {"file_requests", count(r.file_requests)},
          {"ledger_input_tokens", count(r.ledger_usage.input_tokens())},
          {"file_input_tokens", count(r.file_usage.input_tokens())},
          {"ledger_output_tokens", count(r.ledger_usage.output_tokens)},
          {"file_output_tokens", count(r.file_usage.output_tokens)},
          {"ledger_usd", exact_usd(r.ledger_pusd), true},
          {"file_usd", exact_usd(r.file_pusd), true},
          {"gap_usd", exact_usd(r.gap_pusd()), true},
          {"gap_by_tokens_usd", exact_usd(r.by_tokens_pusd()), true},
          {"gap_by_price_usd", exact_usd(r.by_price_pusd()), true},
          {"unknown_requests", count(r.unknown_requests)},
          {"possible_usd", exact_usd(r.possible_pusd), true},
          {"unpriced_requests", count(r.unpriced_requests)}};
}

void add(Reconciled& sum, const Reconciled& part) {
  sum.ledger_requests += part.ledger_requests;
  sum.file_requests += part.file_requests;
  docmill::add(sum.ledger_usage, part.ledger_usage);
  docmill::add(sum.file_usage, part.file_usage);
  sum.ledger_pusd += part.ledger_pusd;
  sum.file_pusd += part.file_pusd;
  sum.file_at_our_prices_pusd += part.file_at_our_prices_pusd;
  sum.unknown_requests += part.unknown_requests;
  sum.possible_pusd += part.possible_pusd;
  sum.unpriced_requests += part.unpriced_requests;
}

void take_ledger(const AttemptRow& attempt, Reconciled& model) {
  ++model.ledger_requests;
  model.ledger_pusd += attempt.cost_pusd.value_or(0);
  if (attempt.usage) docmill::add(model.ledger_usage, *attempt.usage);
  if (attempt.cost_basis == "unpriced") ++model.unpriced_requests;
  if (attempt.cost_basis != "unknown" && !attempt.is_open) return;
  ++model.unknown_requests;
  model.possible_pusd += attempt.ceiling_pusd.value_or(0);
}

// What the gap of a model is made of, in words that a person can follow up.
std::string parts_of(const Reconciled& r, const Currency& currency) {
  std::string text;
  const auto line = [&](std::int64_t pusd, const std::string& why) {
    text += fmt::format("  {}{}  {}\n", pusd < 0 ? "-" : "+",
                        currency.text(pusd < 0 ? -pusd : pusd), why);
  };
  if (r.ledger_requests == 0) {
    line(r.gap_pusd(), fmt::format("{}: {} requests that this ledger does not know",
                                   printable_line(r.model), with_commas(r.file_requests)));
    return text;
  }
  if (r.file_requests == 0) {
    line(r.gap_pusd(), fmt::format("{}: {} requests that are not in the file",
                                   printable_line(r.model), with_commas(r.ledger_requests)));
    return text;
  }
  if (r.by_tokens_pusd() != 0) {
    std::string why = fmt::format("{}: {} requests, {} input and {} output tokens more in the file",
                                  printable_line(r.model), r.file_requests - r.ledger_requests,
                                  r.file_usage.input_tokens() - r.ledger_usage.input_tokens(),
                                  r.file_usage.output_tokens - r.ledger_usage.output_tokens);
    if (r.unknown_requests > 0 && r.by_tokens_pusd() > 0) {
      why += fmt::format("; {} requests without an answer can be up to {} of it",
                         with_commas(r.unknown_requests), currency.text(r.possible_pusd));
    }
    line(r.by_tokens_pusd(), why);
  }
  if (r.by_price_pusd() != 0) {
    line(r.by_price_pusd(),
         fmt::format("{}: other prices than ours for the same tokens", printable_line(r.model)));
  }
  return text;
}

}  // namespace

Reconciliation reconcile(ReportSource& ledger, const UsageFile& file,
                         const UsageSource::PriceOf& price,
                         const std::function<std::string(const AttemptRow&)>& name_of) {
  Reconciliation made;
  made.file = file.name;
  made.from_ms = file.from_ms;
  made.until_ms = file.until_ms;
  std::map<std::string, Reconciled> models;
  UsageSource source(file, price);
  source.each_attempt([&](const AttemptRow& record) {
    Reconciled& model = models[plain_model_name(record.model)];
    model.file_requests += record.requests;
    docmill::add(model.file_usage, *record.usage);
    const std::int64_t ours_pusd = record.cost_pusd.value_or(0);
    model.file_at_our_prices_pusd += ours_pusd;
    model.file_pusd += record.reported_pusd.value_or(ours_pusd);
    if (record.cost_basis == "unpriced") model.unpriced_requests += record.requests;
  });
  ledger.each_attempt([&](const AttemptRow& attempt) {
    const bool is_covered = file.until_ms == 0 || (attempt.opened_at_ms >= file.from_ms &&
                                                   attempt.opened_at_ms < file.until_ms);
    if (is_covered) take_ledger(attempt, models[plain_model_name(name_of(attempt))]);
  });
  for (auto& [name, model] : models) {
    model.model = name;
    add(made.total, model);
    made.models.push_back(std::move(model));
  }
  made.total.model = "total";
  return made;
}

std::string reconciliation_text(const Reconciliation& made, const Currency& currency) {
  Table table({"MODEL", ">REQUESTS", ">IN FILE", ">TOKENS IN", ">IN FILE", ">TOKENS OUT",
               ">IN FILE", ">LEDGER", ">FILE", ">GAP"});
  const auto line = [&](const Reconciled& r) {
    table.add({r.model, with_commas(r.ledger_requests), with_commas(r.file_requests),
               with_commas(r.ledger_usage.input_tokens()), with_commas(r.file_usage.input_tokens()),
               with_commas(r.ledger_usage.output_tokens), with_commas(r.file_usage.output_tokens),
               currency.column(r.ledger_pusd), currency.column(r.file_pusd),
               currency.column(r.gap_pusd())});
  };
  for (const Reconciled& model : made.models) line(model);
  line(made.total);
  std::string text = fmt::format("the ledger against {}", printable_line(made.file));
  if (made.until_ms > 0) {
    text += fmt::format(", {} to {}", iso_time(made.from_ms), iso_time(made.until_ms));
  }
  text += "\n" + table.text();
  const std::int64_t gap_pusd = made.total.gap_pusd();
  std::string parts;
  for (const Reconciled& model : made.models) parts += parts_of(model, currency);
  text += parts.empty()
              ? "no gap\n"
              : fmt::format("the gap of {} is made of\n{}", currency.text(gap_pusd), parts);
  if (made.total.unpriced_requests > 0) {
    text += fmt::format("unpriced, and in none of these sums: {} requests\n",
                        with_commas(made.total.unpriced_requests));
  }
  return text;
}

std::string reconciliation_csv(const Reconciliation& made) {
  std::vector<CsvCell> header = {{"model"}};
  for (const Amount& amount : amounts_of(made.total)) header.push_back({amount.name});
  std::string text = csv_record(header);
  for (const Reconciled& model : made.models) {
    std::vector<CsvCell> cells = {{model.model}};
    for (Amount& amount : amounts_of(model)) cells.push_back({std::move(amount.value), true});
    text += csv_record(cells);
  }
  return text;
}

std::string reconciliation_json(const Reconciliation& made) {
  const auto object_of = [](const Reconciled& model) {
    nlohmann::ordered_json object;
    for (const Amount& amount : amounts_of(model)) {
      object[amount.name] = amount.is_text ? nlohmann::ordered_json(amount.value)
                                           : nlohmann::ordered_json::parse(amount.value);
    }
    return object;
  };
  nlohmann::ordered_json out = {{"file", made.file},
                                {"rows", nlohmann::ordered_json::array()},
                                {"totals", object_of(made.total)}};
  for (const Reconciled& model : made.models) {
    nlohmann::ordered_json row = {{"model", model.model}};
    row.update(object_of(model));
    out["rows"].push_back(std::move(row));
  }
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace docmill
