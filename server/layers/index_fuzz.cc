// Any records, in any history, of few images and streams: at its end each stream is answered, or
// refused, as by an index that has listed what there is, in each form and from any cache.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/layers/records_fixture_test.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;
using namespace strata::layers;

constexpr std::array kStreams = {"s", "t"};
const std::array kForms = {Form{}, Form{{wire::MediaType::kProtobuf}},
                           Form{{wire::MediaType::kYaml}}, Form{{.pretty = true}, true}};

std::vector<std::string> Names(fuzz::Input& input, char first) {
  std::vector<std::string> names;
  for (int i = input.Byte() % 4; i > 0; --i) {
    const uint8_t name = input.Byte();
    names.push_back(name == 0xff ? std::string(input.Text())
                                 : std::string(1, static_cast<char>(first + name % 6)));
  }
  return names;
}

// What there is after each change, as it was told.
class Records {
 public:
  void Change(fuzz::Input& input, base::Revision revision, Changes& told) {
    const uint8_t what = input.Byte();
    const bool image = what % 2 == 0;
    const auto kind = image ? layers::Change::Kind::kImage : layers::Change::Kind::kImageStream;
    const std::string name = image ? std::string(1, static_cast<char>('a' + input.Byte() % 6))
                                   : kStreams[input.Byte() % kStreams.size()];
    Changes& record = records_[{image, name}] = Changes();
    record.At(revision);
    switch (what / 2 % 8) {
      case 0:
        record.Delete(kind, name);
        break;
      case 1:
        record.Unreadable(kind, name, std::string(input.Text()));
        break;
      case 2:
      case 3:
        Put(image, name, std::string(input.Text()), record);
        break;
      case 4:
        Put(image, name, image ? ListBytes(Names(input, 'a')) : StreamBytes(name, {}), record);
        break;
      default:
        Put(image, name,
            image ? ImageBytes(Names(input, 'l')) : StreamBytes(name, Names(input, 'a')), record);
    }
    told.At(revision).Add(record.all().front());
  }

  void List(Index& index, base::Revision revision) const {
    Changes all;
    for (const auto& [name, record] : records_) {
      const layers::Change& change = record.all().front();
      if (change.state != layers::Change::State::kDeleted) all.At(change.revision).Add(change);
    }
    index.BeginList();
    index.AddToList(all.all());
    index.EndList(revision);
  }

 private:
  static void Put(bool image, const std::string& name, std::string bytes, Changes& record) {
    image ? record.Image(name, std::move(bytes)) : record.Stream(name, std::move(bytes));
  }

  std::map<std::pair<bool, std::string>, Changes> records_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint8_t mode = input.Byte();
  const Index::Options options{
      .cache_bytes = std::array<size_t, 4>{1 << 20, 0, 600, 3000}[mode & 3],
      .max_entries_per_answer = 24,
      .for_views = (mode & 4) != 0,
      .tells_missing = (mode & 8) != 0};
  Index index(options, {});
  Records records;
  base::Revision revision = 1;
  records.List(index, revision);
  while (!input.empty()) {
    Changes told;
    ++revision;
    const uint8_t step = input.Byte();
    for (int n = step % 3; n >= 0; --n) records.Change(input, revision, told);
    if (step % 16 == 15) {
      records.List(index, revision);
    } else {
      index.Apply(told.all());
    }
    (void)BodyOf(index, kStreams[step / 16 % 2], kForms[step / 32 % kForms.size()]);
  }
  Index listed(options, {});
  records.List(listed, revision);
  for (const char* stream : kStreams) {
    for (const Form& form : kForms)
      if (BodyOf(index, stream, form) != BodyOf(listed, stream, form)) std::abort();
  }
  if (index.stats().cache.bytes > options.cache_bytes.most()) std::abort();
  if (index.stats().streams != listed.stats().streams) std::abort();
  return 0;
}
