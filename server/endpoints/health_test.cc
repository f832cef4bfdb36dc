#include "server/endpoints/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::endpoints {
namespace {

struct Checks {
  Health health;
  base::Status etcd;
  Checks() {
    health.Add("ping", Health::Scope::kLiveness, [] { return base::OkStatus(); });
    health.Add("etcd", Health::Scope::kReadiness, [this] { return etcd; });
  }
  std::string Body(std::string_view path, bool verbose = false,
                   const std::vector<std::string>& excluded = {}) {
    return *health.Answer(path, verbose, excluded).body;
  }
  int Status(std::string_view path, const std::vector<std::string>& excluded = {}) {
    return health.Answer(path, false, excluded).status;
  }
};

TEST(Health, AnswersOkAndListsTheChecksWhenVerbose) {
  Checks checks;
  EXPECT_EQ(checks.Body("/readyz"), "ok");
  EXPECT_EQ(checks.Body("/readyz", true), "[+]ping ok\n[+]etcd ok\nreadyz check passed\n");
  EXPECT_EQ(checks.Body("/livez", true), "[+]ping ok\nlivez check passed\n");
}

TEST(Health, AFailureIsA500ThatWithholdsTheReasonExceptOnTheChecksOwnPath) {
  Checks checks;
  checks.etcd = base::UnavailableError("connection refused");
  EXPECT_EQ(checks.Status("/readyz"), 500);
  EXPECT_EQ(checks.Body("/readyz"),
            "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n");
  EXPECT_EQ(checks.Body("/readyz/etcd"), "internal server error: connection refused\n");
  EXPECT_EQ(checks.Status("/livez"), 200) << "a restart would not cure it";
}

TEST(Health, ExcludedChecksAreNotAskedAndUnknownOnesAreNamed) {
  Checks checks;
  checks.etcd = base::UnavailableError("connection refused");
  EXPECT_EQ(checks.Status("/readyz", {"etcd"}), 200);
  EXPECT_EQ(checks.Body("/readyz", true, {"etcd", "x", "y"}),
            "[+]ping ok\n[+]etcd excluded: ok\n"
            "warn: some health checks cannot be excluded: no matches for \"x\",\"y\"\n"
            "readyz check passed\n");
}

TEST(Health, PathsNameEveryCheckOfEachEndpoint) {
  Checks checks;
  EXPECT_THAT(checks.health.Paths(),
              testing::ElementsAre("/healthz", "/healthz/etcd", "/healthz/ping", "/livez",
                                   "/livez/ping", "/readyz", "/readyz/etcd", "/readyz/ping"));
}

TEST(HealthMetrics, TellEachCheckOfEachEndpoint) {
  obs::Metrics metrics;
  Health health;
  bool well = true;
  health.Add("ping", Health::Scope::kLiveness, [] { return base::OkStatus(); });
  health.Add("etcd", Health::Scope::kReadiness,
             [&] { return well ? base::OkStatus() : base::UnavailableError("away"); });
  health.AddMetrics(metrics);
  EXPECT_THAT(metrics.Text(),
              testing::HasSubstr("kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 1"));
  well = false;
  const std::string text = metrics.Text();
  EXPECT_THAT(text, testing::HasSubstr("kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 0"));
  EXPECT_THAT(text, testing::HasSubstr("kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1"));
  EXPECT_THAT(
      text,
      testing::Not(testing::HasSubstr("kubernetes_healthcheck{name=\"etcd\",type=\"livez\"}")));
}

}  // namespace
}  // namespace strata::endpoints
