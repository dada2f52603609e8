#pragma once

// What a trial came to: the same documents through several models, each in a batch of its own.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/figures.h"
#include "store/reader.h"
#include "store/report_reader.h"

namespace docmill {

struct Interval {
  double low = 0;
  double high = 0;
};

// Wilson's score interval at 95 %: honest also for few documents and for shares of 0 and 1.
// (Wilson 1927, JASA 22:209.) `total` > 0.
Interval share_interval(std::int64_t hits, std::int64_t total);

struct TrialRow {
  std::string model;
  std::int64_t documents = 0;
  std::int64_t done = 0;
  std::int64_t cut_off = 0;            // documents with an answer that was cut off by its length
  std::int64_t invalid = 0;            // with an answer that was not what the task asked for
  std::int64_t reused = 0;             // paid for before; not in cost and latency
  std::int64_t output_characters = 0;  // of those done
  std::int64_t output_tokens = 0;
  Latencies latencies;
  std::int64_t spent_pusd = 0;
  bool is_unpriced = false;
  std::optional<std::int64_t> per_thousand_pusd;  // of 1,000 documents; absent: none was sent
  Interval per_thousand_between;                  // in pico-USD, at 95 %
};

TrialRow trial_row(Database& db, const Batch& batch, const std::string& model);

// A judge's verdicts on two models' answers to the same documents, each seen in both orders: a win
// is one in both.
struct Verdict {
  std::string first, second;                    // the models
  std::int64_t wins = 0, ties = 0, losses = 0;  // of the first
};

std::string trial_table(const std::vector<TrialRow>& rows, const std::vector<Verdict>& verdicts);
std::string trial_json(const std::vector<TrialRow>& rows, const std::vector<Verdict>& verdicts);

}  // namespace docmill
