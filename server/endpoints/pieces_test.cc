#include "server/endpoints/pieces.h"

#include <array>

#include "server/endpoints/handler_fixture_test.h"
#include "server/registry/layers_v1alpha1.h"

namespace strata::endpoints {
namespace {

TEST(Pieces, WhoIsAtOneIsToldThatItsClientIsGone) {
  const auto call = std::make_shared<TestCall>(registry::LayersV1Alpha1(),
                                               "/apis/layers.strata.dev/v1alpha1/layerusages");
  const Lane lane = AtOnce();
  const std::stop_source stop;
  auto body = BodyOf(
      "first", [] { return std::string("next"); }, stop, call, lane);
  std::array<char, 16> buffer;
  EXPECT_EQ(body->Next(buffer).bytes, 5u);
  EXPECT_EQ(body->Next(buffer).bytes, 4u);
  EXPECT_FALSE(stop.stop_requested());
  body.reset();
  EXPECT_TRUE(stop.stop_requested());
}

}  // namespace
}  // namespace strata::endpoints
