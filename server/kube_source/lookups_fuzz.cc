// Whatever an API server answers to reads by name: whoever asked is answered once, by the object
// that was asked for alone, and no more requests are made than may be.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "server/kube_source/fixture_test.h"
#include "server/kube_source/lookups.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;
using kube_source::Lookups;
using records::Kind;

constexpr Lookups::Options kOptions{.most_in_flight = 3, .most_waiting = 6};

std::string NameOf(fuzz::Input& input) {
  const uint8_t name = input.Byte();
  if (name == 0) return std::string(input.Text());
  return std::string(1, static_cast<char>('a' + name % 8));
}

kube::Response AnswerOf(fuzz::Input& input) {
  const uint8_t how = input.Byte() % 4;
  const std::string name = NameOf(input);
  switch (how) {
    case 0:
      return {input.Byte() * 3, std::string(input.Text())};
    case 1:
      return kube_source::Absent(name);
    case 2:
      return {200, testing_support::Envelope(std::string(input.Text()), "ImageStream")};
    default:
      return {200, testing_support::Envelope(kube_source::Bytes({"n", name, "7"}), "ImageStream")};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  base::FakeClock clock;
  static obs::Metrics metrics;
  testing_support::FakeKube api;
  size_t asked = 0, answered = 0;
  const auto taken = [&](const records::Change& record) {
    if (record.id.ns != "n" || record.id.name.empty() || record.revision <= 0) std::abort();
    return record.id.name == "c" ? base::UnavailableError("no room") : base::OkStatus();
  };
  Lookups lookups(api, kOptions, taken, clock, obs::NullLogger(), metrics);
  while (!input.empty()) {
    switch (input.Byte() % 4) {
      case 0:
      case 1: {
        std::vector<records::Id> ids;
        const uint8_t how = input.Byte();
        for (int i = how % 4; i > 0; --i) ids.push_back({Kind::kImageStream, "n", NameOf(input)});
        ++asked;
        lookups.Seek(ids, (how & 4) != 0 ? "a" : "b",
                     [&](const base::StatusOr<bool>&) { ++answered; });
        break;
      }
      case 2:
        if (!api.pending.empty()) api.Answer(AnswerOf(input));
        break;
      default:
        clock.Advance(std::chrono::milliseconds(input.Byte() * 20));
    }
    if (api.pending.size() > kOptions.most_in_flight) std::abort();
  }
  while (!api.pending.empty()) api.Answer(base::UnavailableError("cut"));
  if (answered != asked) std::abort();
  return 0;
}
