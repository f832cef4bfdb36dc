// Any requests, one after the other, of a real store: one that is refused changes nothing, what is
// answered is in the range that was asked for and in its order, and each old revision is read as it
// was.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proto/etcd/rpc.pb.h"
#include "storage/engine/store.h"
#include "storage/rpc/convert.h"
#include "test/fuzz/input.h"
#include "test/fuzz/memory_dir.h"

namespace {

using namespace strata;
namespace pb = etcdserverpb;

const std::string kAll(1, '\0');

// One store for all inputs, emptied for each.
class World {
 public:
  World() {
    auto opened = engine::Store::Open(dir_.path(), {}, clock_, obs::NullLogger(), metrics_);
    if (!opened.ok()) std::abort();
    store_ = *std::move(opened);
  }

  void Begin() {
    engine::AnswerBytes answer = store_->NewAnswer();
    const auto leases = store_->ListLeases(answer);
    if (!leases.ok()) std::abort();
    for (const int64_t id : leases->ids) (void)store_->Revoke({.id = id});
    (void)store_->Put({.key = "k", .value = "v"});
    if (!store_->Delete({.key = kAll, .range_end = kAll}).ok()) std::abort();
    if (!store_->Compact({.revision = store_->revision()}).ok()) std::abort();
    seen_.clear();
    Remember();
  }

  void Do(uint8_t what, std::string_view bytes) {
    switch (what % 8) {
      case 0:
        return Read(Parsed<pb::RangeRequest>(bytes));
      case 1:
      case 2:
        return Write<pb::PutResponse>(Parsed<pb::PutRequest>(bytes), &engine::Store::Put);
      case 3:
        return Write<pb::DeleteRangeResponse>(Parsed<pb::DeleteRangeRequest>(bytes),
                                              &engine::Store::Delete);
      case 4:
        return Write<pb::CompactionResponse>(Parsed<pb::CompactionRequest>(bytes),
                                             &engine::Store::Compact);
      case 5:
        return Write<pb::LeaseGrantResponse>(Parsed<pb::LeaseGrantRequest>(bytes),
                                             &engine::Store::Grant);
      case 6:
        return Write<pb::LeaseRevokeResponse>(Parsed<pb::LeaseRevokeRequest>(bytes),
                                              &engine::Store::Revoke);
      default:
        return Write<pb::TxnResponse>(Parsed<pb::TxnRequest>(bytes), &engine::Store::Txn);
    }
  }

  // The past is as it was.
  void End() const {
    for (const auto& [revision, keys] : seen_)
      if (revision >= store_->compacted() && KeysAt(revision) != keys) std::abort();
  }

 private:
  template <typename Message>
  static Message Parsed(std::string_view bytes) {
    Message message;
    (void)message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return message;
  }

  static std::string Text(const engine::KeyValue& kv) {
    return kv.value + " " + std::to_string(kv.create_revision) + " " + std::to_string(kv.version) +
           " " + std::to_string(kv.mod_revision) + " " + std::to_string(kv.lease);
  }

  std::map<std::string, std::string> KeysAt(engine::Revision revision) const {
    const auto all = store_->Range({.key = kAll, .range_end = kAll, .revision = revision});
    if (!all.ok() || all->count != static_cast<int64_t>(all->kvs.size())) std::abort();
    std::map<std::string, std::string> keys;
    for (const engine::KeyValue& kv : all->kvs) {
      if (kv.mod_revision > revision || !keys.emplace(kv.key, Text(kv)).second) std::abort();
    }
    return keys;
  }

  void Remember() { seen_[store_->revision()] = KeysAt(store_->revision()); }

  // Of a range that isn't sorted in another way.
  static void CheckOrder(const engine::RangeRequest& asked, const engine::RangeResult& answer) {
    const bool one = asked.range_end.empty(), all = asked.range_end == kAll;
    const std::string* last = nullptr;
    for (const engine::KeyValue& kv : answer.kvs) {
      if (one ? kv.key != asked.key : kv.key < asked.key) std::abort();
      if (!one && !all && kv.key >= asked.range_end) std::abort();
      if (asked.sort_order == engine::SortOrder::kNone && last != nullptr && *last >= kv.key)
        std::abort();
      last = &kv.key;
    }
  }

  void Read(const pb::RangeRequest& request) const {
    const auto asked = rpc::Decode(request);
    if (!asked.ok()) return;
    auto answer = store_->Range(*asked);
    if (!answer.ok()) return;
    const auto size = static_cast<int64_t>(answer->kvs.size());
    if (asked->limit > 0 && size > asked->limit) std::abort();
    if (answer->count < size || answer->revision != store_->revision()) std::abort();
    CheckOrder(*asked, *answer);
    pb::RangeResponse response;
    rpc::Encode(*std::move(answer), &response);
    if (response.kvs_size() != size) std::abort();
  }

  template <typename Response, typename Request, typename Asked, typename Result>
  void Write(const Request& request, base::StatusOr<Result> (engine::Store::*write)(Asked)) {
    auto asked = rpc::Decode(request);
    if (!asked.ok()) return;
    const engine::Revision before = store_->revision();
    auto answer = (store_.get()->*write)(*std::move(asked));
    const engine::Revision after = store_->revision();
    if (!answer.ok()) {
      if (after != before || base::Message(answer.status()).empty()) std::abort();
      return;
    }
    if (answer->revision != after || (after != before && after != before + 1)) std::abort();
    Response response;
    rpc::Encode(*std::move(answer), &response);
    std::string bytes;
    if (!response.SerializeToString(&bytes)) std::abort();
    if (after != before) Remember();
  }

  const fuzz::MemoryDir dir_;
  const base::FakeClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<engine::Store> store_;
  std::map<engine::Revision, std::map<std::string, std::string>> seen_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  fuzz::Input input(data, size);
  world.Begin();
  for (int i = 0; i < 32 && !input.empty(); ++i) {
    const uint8_t what = input.Byte();
    world.Do(what, input.Text());
  }
  world.End();
  return 0;
}
