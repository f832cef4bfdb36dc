// Whatever kube-apiserver answers: an informer always waits for one thing, and for which makes no
// difference how the bytes were cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/kube/informer.h"
#include "test/fuzz/input.h"
#include "test/support/fake_kube.h"
#include "test/support/kube_bytes.h"

namespace {

using namespace strata;
using testing_support::FakeKube;

constexpr kube::Informer::Options kOptions{.max_frame_bytes = 1 << 16};

void AnswerStream(FakeKube& api, fuzz::Input& input, size_t part) {
  switch (input.Byte() % 8) {
    case 0:
      return api.Answer(base::UnavailableError("cut"));
    case 1:
      return api.Answer(kube::Response{200, ""});
    case 2:
      return api.Answer(kube::Response{410, std::string(input.Text())});
    case 3:
      return api.Bring(input.Text(), part);
    case 4: {
      const int code = 400 + input.Byte() % 16;
      return api.Bring(testing_support::ErrorFrame(code, std::string(input.Text())), part);
    }
    case 5:
      return api.Bring(testing_support::Frame("DELETED", std::string(input.Text())), part);
    case 6:
      return api.Bring(testing_support::Frame(std::string(input.Text()), ""), part);
    default:
      return api.Bring(testing_support::Frame("ADDED", std::string(input.Text())), part);
  }
}

void AnswerPage(FakeKube& api, fuzz::Input& input) {
  switch (input.Byte() % 4) {
    case 0:
      return api.Answer(base::DeadlineExceededError("late"));
    case 1:
      return api.Answer(kube::Response{input.Byte() * 3, std::string(input.Text())});
    case 2:
      return api.Answer(kube::Response{200, testing_support::Envelope(std::string(input.Text()))});
    default: {
      const std::string item(input.Text());
      return api.Answer(testing_support::Page({item}, "7", std::string(input.Text())));
    }
  }
}

// It is a URL's, whatever kube-apiserver says is to stand in it.
void CheckPath(const FakeKube& api) {
  for (const auto& one : api.pending)
    for (const char c : one.request.path)
      if (c <= ' ' || c > '~' || c == '#') std::abort();
}

// What it asks at the end; empty: it pauses.
std::string Follow(fuzz::Input input, size_t part) {
  FakeKube api;
  kube::Informer informer(
      api, {"/apis/g/v1/things", "metadata.name=x"}, kOptions,
      [&](const kube::Informer::Objects& all) {
        return all.size() % 3 == 2 ? base::DataLossError("of no use") : base::OkStatus();
      },
      obs::NullLogger());
  informer.Start();
  while (true) {
    if (api.pending.size() + api.tasks.size() != 1) std::abort();
    CheckPath(api);
    if (input.empty()) return api.pending.empty() ? "" : api.pending.front().request.path;
    if (api.pending.empty()) {
      api.RunTask();
    } else if (api.pending.front().data != nullptr) {
      AnswerStream(api, input, part);
    } else {
      AnswerPage(api, input);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::Input input(data, size);
  if (Follow(input, size + 64) != Follow(input, 1)) std::abort();
  return 0;
}
