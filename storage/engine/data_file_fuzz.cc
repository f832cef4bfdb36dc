// A store's file with other bytes in it, or with anything in its tables under right checksums:
// opening it ends, so do reads, writes and looking at all of it, and what is found to be whole can
// be opened again.
#include <absl/synchronization/notification.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "storage/engine/data_dir.h"
#include "storage/engine/store.h"
#include "storage/engine/tree/environment.h"
#include "test/fuzz/input.h"
#include "test/fuzz/memory_dir.h"

namespace {

using namespace strata;
using engine::Store;

const std::string kAll(1, '\0');
constexpr size_t kPage = 4096;
constexpr engine::tree::Environment::Options kMap{.initial_map_bytes = 1 << 20, .max_snapshots = 4};

base::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory) {
  static const base::FakeClock clock;
  static obs::Metrics metrics;
  return Store::Open(directory, {.map = kMap}, clock, obs::NullLogger(), metrics);
}

std::string FileIn(const fuzz::MemoryDir& dir) {
  return dir.path() + "/" + engine::kStoreFile;
}

void Defragment(Store& store) {
  absl::Notification done;
  store.Submit(engine::DefragmentRequest{},
               [&](const base::StatusOr<engine::DefragmentResult>&) { done.Notify(); });
  done.WaitForNotification();
}

// A store of each kind of page: branches, leaves, large values, a list of free ones.
std::string MakeFile() {
  const fuzz::MemoryDir dir;
  {
    auto store = Open(dir.path());
    if (!store.ok()) std::abort();
    for (int i = 0; i < 60; ++i)
      (void)(*store)->Put({.key = "key-" + std::to_string(i % 25), .value = std::string(90, 'v')});
    (void)(*store)->Put({.key = "large", .value = std::string(9000, 'v')});
    (void)(*store)->Grant({.id = 7, .ttl = 600});
    (void)(*store)->Put({.key = "leased", .value = "v", .lease = 7});
    (void)(*store)->Compact({.revision = 20});
    Defragment(**store);
    (void)(*store)->Delete({.key = "key-1", .range_end = "key-2"});
  }
  std::ifstream file(FileIn(dir), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const fuzz::MemoryDir& dir, const std::string& bytes) {
  std::ofstream(FileIn(dir), std::ios::binary) << bytes;
}

// Other bytes at some places, most of which are where a page says what it is; or a shorter file.
std::string Patched(std::string file, fuzz::Input& input) {
  while (!input.empty()) {
    const size_t page = input.Byte() % (file.size() / kPage), place = input.Byte();
    const size_t at = page * kPage + (place < 128 ? place : (place - 128) * 32);
    const std::string_view bytes = input.Text();
    if (bytes.empty()) {
      file.resize(std::max(at, kPage));
    } else if (at + bytes.size() <= file.size()) {
      file.replace(at, bytes.size(), bytes);
    }
  }
  return file;
}

void PutEntries(const fuzz::MemoryDir& dir, fuzz::Input& input) {
  const auto tables = engine::tree::Environment::Open(FileIn(dir), kMap);
  if (!tables.ok()) std::abort();
  auto txn = (*tables)->Begin();
  if (!txn.ok()) std::abort();
  while (!input.empty()) {
    const auto table = static_cast<engine::tree::Table>(input.Byte() % engine::tree::kTables);
    const std::string_view key = input.Text();
    (void)txn->Put(table, key, input.Text());
  }
  (void)txn->Commit();
}

// Whether nothing is wrong with it, after all that can be done with it.
bool Use(const std::string& directory) {
  const auto opened = Open(directory);
  if (!opened.ok()) return false;
  Store& store = **opened;
  for (const engine::Revision revision : {0, 30})
    (void)store.Range({.key = kAll, .range_end = kAll, .revision = revision});
  (void)store.Changes(20, 1 << 20, [](const engine::Change& change) -> base::StatusOr<size_t> {
    return change.key().size();
  });
  engine::AnswerBytes answer = store.NewAnswer();
  (void)store.ListLeases(answer);
  (void)store.Hash(0);
  (void)store.Put({.key = "key-3", .value = std::string(5000, 'w'), .lease = 7, .prev_kv = true});
  (void)store.Revoke({.id = 7});
  (void)store.Delete({.key = "key-2", .range_end = "key-3", .prev_kv = true});
  (void)store.Compact({.revision = store.revision(), .physical = true});
  Defragment(store);
  return store.Verify().ok() && store.failure().ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string file = MakeFile();
  fuzz::Input input(data, size);
  const fuzz::MemoryDir dir;
  const bool patch = input.Byte() % 2 == 0;
  WriteFile(dir, patch ? Patched(file, input) : file);
  if (!patch) PutEntries(dir, input);
  if (Use(dir.path()) && !Open(dir.path()).ok()) std::abort();
  return 0;
}
