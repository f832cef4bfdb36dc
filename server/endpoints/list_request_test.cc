#include "server/endpoints/list_request.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "server/api/continue_token.h"
#include "server/endpoints/handler_fixture_test.h"
#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

// Of a source with several watches.
class ListsOfASource : public testing::Test, protected FreshHandler {
 protected:
  void List(const std::string& query) {
    auto call = std::make_shared<TestCall>(registry::ImageV1(),
                                           "/apis/image.openshift.io/v1/images?limit=2&" + query);
    call->deadline = clock.Now() + std::chrono::seconds(20);
    auto options = ListOptionsOf(*call);
    ASSERT_TRUE(std::holds_alternative<api::ListOptions>(options)) << query;
    call->options = std::make_unique<const api::ListOptions>(std::get<1>(std::move(options)));
    WaitForList(std::move(call), freshness, *this);
  }
  void ServeFresh(const std::shared_ptr<Call>&) override { ++served; }

  base::SystemClock clock;
  TestSource source{5};
  Freshness freshness{source.barrier(), clock};
  int served = 0;
};

TEST_F(ListsOfASource, GoOnWhereTheIndexIsThoughOneWatchIsBehind) {
  source.Come(9, /*complete=*/7);
  List("continue=" + api::ContinueBehind("i", 9));
  EXPECT_EQ(served, 1);
  List("continue=" + api::ContinueBehind("i", 10));
  EXPECT_EQ(served, 1) << "of another server, which is ahead";
  source.Come(10, /*complete=*/7);
  EXPECT_EQ(served, 2);
}

TEST_F(ListsOfASource, WaitForAllWatchesWhereARevisionIsNamed) {
  source.Come(9, /*complete=*/7);
  List("resourceVersion=9");
  EXPECT_EQ(served, 0);
  source.Come(9, /*complete=*/9);
  EXPECT_EQ(served, 1);
}

}  // namespace
}  // namespace strata::endpoints
