// The page that Prometheus reads, and the files that name what is on it.

#include "report/metrics_text.h"

#include "base/file.h"
#include "tests/catch.h"

namespace docmill {

TEST_CASE("a histogram counts what is at or below each bound") {
  MetricsPage page;
  ModelMetrics& model = page.worker.models["m \"1\""];
  for (const double seconds : {0.1, 0.2, 0.25, 700.0}) model.seconds.add(seconds);
  model.requests["answered"] = 4;
  model.cost_pusd = 1'500'000'000'000;
  const std::string text = metrics_text(page);
  const auto has = [&](const std::string& line) {
    INFO(line);
    CHECK(text.find("\n" + line + "\n") != std::string::npos);
  };
  const std::string labels = "model=\"m \\\"1\\\"\"";
  has("docmill_request_seconds_bucket{" + labels + ",le=\"0.1\"} 1");
  has("docmill_request_seconds_bucket{" + labels + ",le=\"0.25\"} 3");
  has("docmill_request_seconds_bucket{" + labels + ",le=\"600\"} 3");
  has("docmill_request_seconds_bucket{" + labels + ",le=\"+Inf\"} 4");
  has("docmill_request_seconds_count{" + labels + "} 4");
  has("docmill_requests_total{" + labels + ",outcome=\"answered\"} 4");
  has("docmill_cost_usd_total{" + labels + "} 1.5");
}

TEST_CASE("dashboard, alerts and docs name metrics that there are") {
  const std::string text = metrics_text({});
  const std::filesystem::path root = DOCMILL_SOURCE_DIR;
  for (const char* file : {"config/dist/docmill-alerts.yml", "config/dist/docmill-dashboard.json",
                           "docs/operations.md"}) {
    const std::string content = read_file(root / file, 1 << 20).value();
    int names = 0;
    for (std::size_t at = content.find("docmill_"); at != std::string::npos;
         at = content.find("docmill_", at + 1)) {
      const std::size_t end = content.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at);
      std::string family = content.substr(at, end - at);
      for (const std::string_view of_histogram : {"_bucket", "_count", "_sum"}) {
        if (family.ends_with(of_histogram)) family.resize(family.size() - of_histogram.size());
      }
      if (family == "docmill_") continue;  // the package's file
      INFO(file << " names " << family);
      CHECK(text.find("# TYPE " + family + " ") != std::string::npos);
      ++names;
    }
    CHECK(names > 5);
  }
}

}  // namespace docmill
