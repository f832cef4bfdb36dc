#include "lib/obs/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::obs {
namespace {

using testing::HasSubstr;

TEST(Metrics, TextShowsCountersGaugesHistogramsAndFunctions) {
  Metrics metrics;
  metrics.AddCounter("a_total", "As.", {{"code", "200"}}).Increment(2);
  metrics.AddGauge("b", "Bs.").Set(-1);
  metrics.AddHistogram("c_seconds", "Cs.", {0.1, 1}).Observe(0.5);
  metrics.AddGaugeFunction("d", "Ds.", {}, [] { return 4.0; });
  const std::string text = metrics.Text();
  EXPECT_THAT(text,
              HasSubstr("# HELP a_total As.\n# TYPE a_total counter\na_total{code=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("b -1\n"));
  EXPECT_THAT(text, HasSubstr("c_seconds_bucket{le=\"0.1\"} 0\nc_seconds_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE d gauge\nd 4\n"));
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  Metrics metrics;
  metrics.AddCounter("a_total", "As.").Increment();
  metrics.AddCounter("a_total", "As.").Increment();
  EXPECT_EQ(metrics.AddCounter("a_total", "As.").value(), 2);
}

}  // namespace
}  // namespace strata::obs
