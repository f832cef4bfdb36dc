// Whatever an API server answers, and in whatever parts: a feed always waits for one thing or has
// said that it doesn't, and what it tells is one history of objects that can be.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/kube_source/feed.h"
#include "server/kube_source/fixture_test.h"
#include "server/kube_source/object_record.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;
using kube_source::Feed;
using records::Kind;
using testing_support::FakeKube;

// Stands for the source: begins anew what has ended.
class Source final : public Feed::Sink {
 public:
  void OnPage(const std::vector<records::Change>& page) override {
    if (page.empty()) std::abort();
    for (const records::Change& change : page) Check(change);
  }
  void OnListed(Kind, base::Revision revision) override {
    if (revision <= 0) std::abort();
    position_ = revision;
    told_.clear();
    next_ = Next::kWatch;
  }
  void OnListFailed(Kind, const base::Status& why) override {
    if (why.ok()) std::abort();
    next_ = Next::kList;
  }
  void OnWatching(Kind) override {}
  void OnChanges(Kind, std::vector<records::Change> changes, base::Revision position) override {
    for (const records::Change& change : changes) {
      Check(change);
      Move(change.revision);
      if (!told_.insert(change.id.name).second) std::abort();
    }
    Move(position);
  }
  void OnWatchEnd(Kind, const base::Status&) override {}
  void OnLost(Kind, const base::Status& why) override {
    if (why.ok()) std::abort();
    next_ = Next::kList;
  }

  // Whether the feed has nothing more to do by itself.
  bool waits() const { return next_ != Next::kNothing; }
  void GoOn(Feed& feed) {
    const Next next = std::exchange(next_, Next::kNothing);
    next == Next::kWatch ? feed.Watch() : feed.List();
  }

 private:
  static void Check(const records::Change& change) {
    if (!kube_source::CanExist(change.id) || change.revision <= 0) std::abort();
  }

  void Move(base::Revision to) {
    if (to < position_) std::abort();
    if (to != position_) told_.clear();
    position_ = to;
  }

  enum class Next { kNothing, kList, kWatch };
  Next next_ = Next::kList;
  base::Revision position_ = 0;
  std::set<std::string> told_;  // at that
};

// A name and a revision that can be, unless the input has its own bytes.
std::string ObjectOf(fuzz::Input& input) {
  const uint8_t revision = input.Byte();
  if (revision == 0) return std::string(input.Text());
  return kube_source::Bytes(
      {"n", std::string(1, static_cast<char>('a' + input.Byte() % 4)), std::to_string(revision)});
}

std::string FrameOf(fuzz::Input& input) {
  using kube_source::Bookmark;
  using testing_support::Frame;
  constexpr const char* kStream = "ImageStream";
  switch (const uint8_t type = input.Byte() % 8) {
    case 0:
    case 1:
      return Bookmark(kStream, std::to_string(input.Byte()), /*ends_list=*/type == 0);
    case 2: {
      const int code = 400 + input.Byte() % 16;
      return testing_support::ErrorFrame(code, std::string(input.Text()));
    }
    case 3:
      return Frame("DELETED", ObjectOf(input), kStream);
    case 4:
      return Frame("MODIFIED", ObjectOf(input), kStream);
    case 5: {
      const std::string event(input.Text()), kind(input.Text());
      return Frame(event, ObjectOf(input), kind);
    }
    default:
      return Frame("ADDED", ObjectOf(input), kStream);
  }
}

void AnswerStream(FakeKube& api, fuzz::Input& input) {
  const uint8_t how = input.Byte();
  const size_t part = (how & 0x40) != 0 ? 1 : SIZE_MAX / 2;
  switch (how % 8) {
    case 0:
      return api.Answer(base::UnavailableError("cut"));
    case 1:
      return api.Answer(kube::Response{200, ""});
    case 2:
      return api.Answer(kube::Response{400 + input.Byte(), std::string(input.Text())});
    case 3:
      return api.Bring(input.Text(), part);
    case 4: {
      std::string frames = FrameOf(input);
      return api.Bring(frames += FrameOf(input), part);
    }
    default:
      return api.Bring(FrameOf(input), part);
  }
}

void AnswerPage(FakeKube& api, fuzz::Input& input) {
  switch (input.Byte() % 4) {
    case 0:
      return api.Answer(base::ResourceExhaustedError("too large"));
    case 1:
      return api.Answer(kube::Response{input.Byte() * 3, std::string(input.Text())});
    case 2:
      return api.Answer(kube::Response{
          200, testing_support::Envelope(std::string(input.Text()), "ImageStreamList")});
    default: {
      std::vector<std::string> items;
      for (int i = input.Byte() % 3; i > 0; --i) items.push_back(ObjectOf(input));
      const std::string revision = std::to_string(input.Byte());
      return api.Answer(
          testing_support::Page(items, revision, std::string(input.Text()), "ImageStreamList"));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const base::FakeClock clock;
  static obs::Metrics metrics;
  FakeKube api;
  Source source;
  Feed feed(api, Kind::kImageStream, {.page_size = 2, .max_object_bytes = 1 << 16}, source, clock,
            obs::NullLogger(), metrics);
  while (!input.empty()) {
    if (api.pending.size() + api.tasks.size() + (source.waits() ? 1 : 0) != 1) std::abort();
    if (source.waits()) {
      source.GoOn(feed);
    } else if (api.pending.empty()) {
      api.RunTask();
    } else if (api.pending.front().data != nullptr) {
      AnswerStream(api, input);
    } else {
      AnswerPage(api, input);
    }
  }
  return 0;
}
