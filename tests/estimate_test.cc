// Estimates: what they are made of, and what they say.

#include "tasks/estimate.h"

#include "base/money.h"
#include "report/estimate_text.h"
#include "tests/catch.h"

namespace docmill {
namespace {

constexpr std::int64_t kNowMs = 1'790'000'000'000;

class EstimateTest {
 protected:
  EstimateTest() {
    providers_["acme"].name = "acme";
    providers_["acme"].base_url = "http://127.0.0.1:1/v1";
    add_model("first", 2'000'000, 8'000'000);
    add_model("second", 4'000'000, 4'000'000);
    add_model("other", 1'000'000, 1'000'000);
    add_model("dear", 90'000'000, 90'000'000);
    spec_.task = "summarise";
    spec_.max_output_tokens = 1000;
    route_ = {"default", {"first", "second"}};
  }

  void add_model(const std::string& key, std::int64_t input_pusd, std::int64_t output_pusd) {
    Model& model = models_[key];
    model.key = model.name = key;
    model.provider = "acme";
    model.price = ModelPrice{input_pusd, input_pusd, input_pusd, output_pusd};
  }

  BatchEstimate of(const std::vector<std::string>& texts) {
    Tokenizers none({});
    Estimator estimator({models_, providers_, in_flight_, past_, kNowMs}, none);
    int number = 0;
    for (const std::string& text : texts) {
      estimator.add(spec_, route_, "doc-" + std::to_string(number++), text);
    }
    return estimator.result();
  }

  Providers providers_;
  Models models_;
  std::vector<EstimateRecord> past_;
  int in_flight_ = 64;
  BatchSpec spec_;
  Route route_;
};

const std::string kThousandTokens(3'333, 'a');

}  // namespace

TEST_CASE_METHOD(EstimateTest, "cost follows from tokens at the first model's prices",
                 "[estimate]") {
  const BatchEstimate estimate = of({kThousandTokens, "short"});
  CHECK(estimate.documents == 2);
  CHECK_FALSE(estimate.is_exact);
  CHECK(estimate.input_tokens.expected == 1000 + 11 + 2 + 11);
  CHECK(estimate.input_tokens.low < estimate.input_tokens.expected);
  CHECK(estimate.input_tokens.high > estimate.input_tokens.expected);
  CHECK(estimate.output_tokens.high == 2000);  // both limits
  CHECK(estimate.cost_pusd.expected ==
        estimate.input_tokens.expected * 2'000'000 + estimate.output_tokens.expected * 8'000'000);
  CHECK(estimate.cost_pusd.high == estimate.input_tokens.high * 2'000'000 + 2000 * 8'000'000LL);
  CHECK(estimate.dearest == "doc-0");
  CHECK(estimate.dearest_pusd > estimate.cost_pusd.expected / 2);
  // The chain's next first, then what is cheapest.
  REQUIRE(estimate.elsewhere_pusd.size() == 3);
  CHECK(estimate.elsewhere_pusd[0].first == "second");
  CHECK(estimate.elsewhere_pusd[1].first == "other");
  CHECK(estimate.elsewhere_pusd[2].first == "dear");
  CHECK(estimate.elsewhere_pusd[1].second ==
        (estimate.input_tokens.expected + estimate.output_tokens.expected) * 1'000'000);
}

TEST_CASE_METHOD(EstimateTest, "what requests had before corrects the next ones", "[estimate]") {
  const BatchEstimate guessed = of({kThousandTokens});
  // 100 requests, each reported at 1.2 times its estimate, answered with 50 tokens in 3 s.
  past_ = {{"summarise", "first", 100, 100'000, 120'000, 144, 5'000, 300'000}};
  const BatchEstimate learnt = of({kThousandTokens});
  CHECK(learnt.input_tokens.expected == 1200);
  CHECK(learnt.input_tokens.low == 1176);
  CHECK(learnt.input_tokens.high == 1224);
  CHECK(learnt.output_tokens.expected == 50);
  CHECK(learnt.output_tokens.high == 1000);
  CHECK(learnt.is_timed);
  CHECK_FALSE(guessed.is_timed);
  // Too few tell nothing; nor do those of another model, or of another task for the answer.
  past_[0].requests = 5;
  CHECK(of({kThousandTokens}).input_tokens.expected == guessed.input_tokens.expected);
  past_ = {{"translate", "first", 100, 100'000, 120'000, 144, 5'000, 300'000}};
  CHECK(of({kThousandTokens}).input_tokens.expected == 1200);
  CHECK(of({kThousandTokens}).output_tokens.expected != 50);
  past_ = {{"summarise", "second", 100, 100'000, 120'000, 144, 5'000, 300'000}};
  CHECK(of({kThousandTokens}).input_tokens.expected == guessed.input_tokens.expected);
}

TEST_CASE_METHOD(EstimateTest, "requests that were far apart make the range wide", "[estimate]") {
  past_ = {{"summarise", "first", 100, 100'000, 100'000, 100, 5'000, 300'000}};
  const BatchEstimate even = of({kThousandTokens});
  past_[0].ratio_squares = 200;
  const BatchEstimate uneven = of({kThousandTokens});
  CHECK(uneven.input_tokens.high - uneven.input_tokens.low >
        3 * (even.input_tokens.high - even.input_tokens.low));
}

TEST_CASE_METHOD(EstimateTest, "the time is that of the slowest limit, by its name", "[estimate]") {
  past_ = {{"summarise", "first", 100, 100'000, 100'000, 100, 10'000, 200'000}};
  const std::vector<std::string> texts(640, kThousandTokens);
  const BatchEstimate by_slots = of(texts);
  CHECK(by_slots.bound_by.find("64 in flight") == 0);
  CHECK(by_slots.time_ms == 640 * 2000 / 64 + 2000);
  models_["first"].in_flight = 4;
  CHECK(of(texts).bound_by.find("4 in flight at first") == 0);
  models_["first"].in_flight.reset();
  providers_["acme"].per_minute.requests = 640;
  const BatchEstimate by_requests = of(texts);
  CHECK(by_requests.bound_by == "requests/min of acme (640)");
  CHECK(by_requests.time_ms == 60'000);
  models_["first"].per_minute.tokens = 352'000;  // 640 x 1,100 in two minutes
  const BatchEstimate by_tokens = of(texts);
  CHECK(by_tokens.bound_by == "tokens/min of first (352,000)");
  CHECK(by_tokens.time_ms == 120'000);
}

TEST_CASE_METHOD(EstimateTest, "a request reserves no more than the estimate says", "[estimate]") {
  const BatchEstimate estimate = of({kThousandTokens});
  // Every byte may be a token.
  CHECK(estimate.largest_ceiling_pusd >= 3'333 * 2'000'000LL + 1000 * 8'000'000LL);
  CHECK(estimate.largest_ceiling_pusd < 4'000 * 2'000'000LL + 1000 * 8'000'000LL);
}

TEST_CASE_METHOD(EstimateTest, "an unpriced first model is said, not counted as free",
                 "[estimate]") {
  models_["first"].price.reset();
  const BatchEstimate estimate = of({kThousandTokens});
  CHECK(estimate.is_unpriced);
  const std::vector<std::string> lines = estimate_lines(estimate, std::nullopt);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].find("unknown") != std::string::npos);
}

TEST_CASE_METHOD(EstimateTest, "a document that fits no model is estimated by its pieces",
                 "[estimate]") {
  models_["first"].context_tokens = 3000;
  models_["second"].context_tokens = 3000;
  const std::string book(100'000, 'a');  // some 30,000 tokens
  const BatchEstimate estimate = of({book, "short"});
  CHECK(estimate.long_documents == 1);
  CHECK(estimate.pieces > 15);
  CHECK(estimate.pieces < 30);
  CHECK(estimate.combining > 1);
  CHECK(estimate.input_tokens.expected > 30'000);
  CHECK(estimate.output_tokens.high > 15 * 1000);
  CHECK(estimate_lines(estimate, std::nullopt)[0].find("too long for one request: 1, as some") ==
        0);
  // One that a later model takes as a whole is that model's.
  models_["second"].context_tokens = 1'000'000;
  const BatchEstimate whole = of({book});
  CHECK(whole.long_documents == 0);
  CHECK(whole.cost_pusd.expected ==
        whole.input_tokens.expected * 4'000'000 + whole.output_tokens.expected * 4'000'000);
}

TEST_CASE("an estimate's lines are those of the screen", "[estimate]") {
  BatchEstimate estimate;
  estimate.documents = 12'480;
  estimate.input_tokens = {41'900'000, 42'800'000, 43'600'000};
  estimate.output_tokens = {1'200'000, 2'100'000, 12'800'000};
  estimate.cost_pusd = {18'100'000'000'000, 18'860'000'000'000, 23'690'000'000'000};
  estimate.dearest = "contracts/annual/\x1b[31m2019.pdf";
  estimate.dearest_pusd = 410'000'000'000;
  estimate.elsewhere_pusd = {{"gemini-2.5-flash", 112'250'000'000'000}};
  estimate.largest_ceiling_pusd = 60'000'000'000;
  estimate.time_ms = 720'000;
  estimate.bound_by = "tokens/min of holysheep (4,000,000)";
  const std::vector<std::string> lines = estimate_lines(estimate, 25'000'000'000'000);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] == "tokens  in 42.8 M (41.9-43.6)   out 2.10 M (1.20-12.8, the limit)");
  CHECK(lines[1].find("cost    $18.86 ($18.10-$23.69)   dearest: contracts/annual/") == 0);
  CHECK(lines[1].find('\x1b') == std::string::npos);
  CHECK(lines[2] == "        on gemini-2.5-flash $112.25");
  CHECK(lines[3] == "time    ~12 min, bound by tokens/min of holysheep (4,000,000)");
  CHECK(lines[4] == "cap     $25.00 is enough; one request reserves at most $0.0600");
  CHECK(estimate_lines(estimate, 20'000'000'000'000)[4].find("is probably enough") !=
        std::string::npos);
  CHECK(estimate_lines(estimate, 9'430'000'000'000)[4].find("after some 6,240 of 12,480") !=
        std::string::npos);
  CHECK(short_count(812) == "812");
  CHECK(short_count(999'999) == "999,999");
  CHECK(short_count(1'234'567'890) == "1.23 G");
}

}  // namespace docmill
