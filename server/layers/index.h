// Which layers each image stream has: every Image and ImageStream of the backend, at one revision,
// and the encoded answers made from them.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/limit.h"
#include "lib/base/mutex.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "server/layers/answer.h"
#include "server/layers/assembly.h"
#include "server/layers/changes.h"
#include "server/layers/entry.h"
#include "server/layers/name_table.h"
#include "server/layers/reading.h"
#include "server/layers/record.h"
#include "server/layers/response_cache.h"
#include "server/layers/snapshot.h"

namespace strata::layers {

// One record as it is at a revision, or its deletion. Views live until the call returns.
struct Change {
  enum class Kind { kImage, kImageStream };
  enum class State { kPresent, kUnreadable, kDeleted };
  Kind kind;
  State state;
  std::string_view ns;  // empty for images
  std::string_view name;
  base::Revision revision;
  std::string_view object;  // present: the protobuf encoding
  std::string_view reason;  // unreadable: why
};

struct Lookup {
  enum class Result {
    kAnswer,      // `answer` can be sent
    kSmall,       // it has to be built, in some 20 µs: give `gathered` to Index::Build
    kLarge,       // it has to be built, and may take long: give an Assembly to Index::Make
    kNotFound,    // there is no such stream
    kUnreadable,  // the stream's own record is, or it reaches too much: `reason`
  };
  Result result = Result::kNotFound;
  std::shared_ptr<const Encoded> answer;
  Gathered gathered;
  std::string reason;
  size_t images = 0;  // kLarge: that the stream names
};

// Written by the reflector's thread alone (the first group of methods, but for AddToList), read by
// every request thread. Outlives whatever Find returned, but for the answer.
class Index {
 public:
  struct Options {
    base::Limit cache_bytes = 256 << 20;  // of encoded answers
    // Images, layers and children of lists, each time that they are named. A stream that reaches
    // more is answered with an error.
    // Each is up to 1.3 KB of a worker's memory while the answer is made (as YAML).
    size_t max_entries_per_answer = 1 << 18;
    // Keeps also what only the views need: since when images are as they are, and the tags of
    // streams.
    bool for_views = false;
    bool tells_missing = false;  // in answers, for who can look for what is
  };

  // An unreadable record, for the log: one call at a time, and not again at each list.
  using Report = std::function<void(const Change& change, std::string_view reason)>;

  Index(const Options& options, Report report);
  ~Index();

  // Whom all changes are told to, from the first list on. For views.
  void Observe(Observer* observer) { observer_ = observer; }

  // A list is gathered aside, while what there was is served, and takes its place whole at EndList.
  // BeginList forgets a list that was begun before. AddToList may be called by several threads at a
  // time, whose calls have all returned before the writer goes on: they decode beside each other.
  void BeginList() ABSL_LOCKS_EXCLUDED(mu_);
  void AddToList(std::span<const Change> page) ABSL_LOCKS_EXCLUDED(list_mu_);
  void EndList(base::Revision revision) ABSL_LOCKS_EXCLUDED(mu_);
  void AbortList() ABSL_LOCKS_EXCLUDED(mu_);

  // All changes of one revision, made visible together, and with them gone every answer that they
  // make stale.
  void Apply(std::span<const Change> changes) ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing else has changed up to `revision`.
  void Advance(base::Revision revision) ABSL_LOCKS_EXCLUDED(mu_);

  // Everything as it is now. Not to be kept for long: it keeps what is replaced.
  Snapshot Now() const ABSL_LOCKS_EXCLUDED(mu_);
  // The same for a query that `stop` ends.
  Reading Read(std::stop_token stop = {}) const ABSL_LOCKS_EXCLUDED(mu_);
  // The same of a snapshot.
  Reading Of(Snapshot snapshot, std::stop_token stop = {}) const;

  // The answer, or what it is made of, at one revision. Costs what a small answer costs, however
  // much the stream reaches.
  Lookup Find(std::string_view ns, std::string_view name, const Form& form) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Encodes what Find gathered, and keeps the bytes for others if nothing that they depend on has
  // changed meanwhile. If somebody else has built the answer since, it is that one, which is at
  // least as new. Costs about 2 µs an image. An error says why the stream can't be answered.
  base::StatusOr<std::shared_ptr<const Encoded>> Build(const Gathered& gathered, const Form& form)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The same for an answer of any size, as new as the index is when it returns from its walk, which
  // holds the lock for some 50 µs at a time. That a stream can't be answered is kept like an
  // answer. kNotFound, kDataLoss: why it can't be answered; kCancelled: it was stopped, which is
  // looked at at intervals; kUnavailable: lists of images that it reaches change again and again.
  base::StatusOr<std::shared_ptr<const Encoded>> Make(Assembly& assembly,
                                                      const std::stop_token& stop)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The names of these images and of their children, those of missing ones too, once each, sorted.
  // Holds the lock for some 50 µs at a time, and follows the lists that there are meanwhile.
  // kDataLoss: those are too many.
  base::StatusOr<std::vector<std::string>> WithChildren(std::vector<std::string> names) const
      ABSL_LOCKS_EXCLUDED(mu_);

  struct Stats {
    size_t images = 0, unreadable_images = 0;
    size_t streams = 0, unreadable_streams = 0;
    size_t names = 0, name_bytes = 0;
    uint64_t hits = 0, misses = 0;
    ResponseCache::Stats cache;
  };
  Stats stats() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using ImageResult = base::StatusOr<ImageRecord>;
  using StreamResult = base::StatusOr<StreamRecord>;
  using Record = std::variant<std::monostate, ImageResult, StreamResult>;  // nothing of a deletion
  struct Listed;
  // A change ready to be put in place: nothing is left to do under the lock but to exchange
  // pointers.
  struct Decoded {
    Change::Kind kind;
    bool is_deletion = false;
    NameId image = kNoName;  // with one reference: the entry's, or of a deletion its own
    std::string stream;
    ImagePointer image_entry;    // null: deleted
    StreamPointer stream_entry;  // null: deleted
    ImagePointer vanished;       // instead of a deleted one, where that is told
    // What was replaced: it is freed outside of the lock.
    ImagePointer image_before;
    StreamPointer stream_before;
  };
  struct List {
    std::vector<ImagePointer> images;
    std::vector<StreamPointer> streams;
  };

  // What takes longest, and needs nothing of the index.
  std::vector<Record> DecodeAll(std::span<const Change> changes) const;
  Decoded Decode(const Change& change, const Record& record);
  ImagePointer MakeEntry(const ImageResult& record, NameId name, base::Revision revision,
                         std::string& reason);
  StreamPointer MakeEntry(const StreamResult& record, std::string_view key, base::Revision revision,
                          std::string& reason);
  // What tells when an image that others name went; null where nobody asks.
  ImagePointer Vanished(NameId name, base::Revision revision);
  void ForgetVanished(std::span<const NameId> maybe) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the record was unreadable before, for the same reason.
  bool IsReported(const Decoded& decoded, std::string_view reason) const ABSL_LOCKS_EXCLUDED(mu_);
  // What a deletion holds of its image's name.
  void Release(const Decoded& change);
  void Recycle() ABSL_LOCKS_EXCLUDED(mu_);
  // Leave what they replaced in `change`, to be freed outside of the lock.
  void PutImage(Decoded& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PutStream(Decoded& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What views have of it besides.
  void PutForViews(const Decoded& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FillForViews(Snapshot& listed) const;
  bool SharesTopLayer(const ImageEntry& image) const;
  Step StepOf(std::span<const Decoded> changes, Snapshot before) ABSL_LOCKS_EXCLUDED(mu_);
  void Spoil(Assembly& assembly) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsCurrent(const Gathered& gathered) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Whether it costs an io thread next to nothing to encode it.
  bool IsSmall(const Gathered& gathered, size_t entries, const Form& form) const;
  // The answer, if there is one by now; otherwise the assembly's walk is at its start.
  base::StatusOr<std::shared_ptr<const Encoded>> BeginWalk(Assembly& assembly)
      ABSL_LOCKS_EXCLUDED(mu_);
  // kDone and kTooLarge: the walk is over. kMore: it was stopped, or has to begin again.
  Walk::State FinishWalk(Assembly& assembly, const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(mu_);
  base::StatusOr<std::shared_ptr<const Encoded>> Encode(Assembly& assembly, Walk::State walked,
                                                        const std::stop_token& stop)
      ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  const Report report_;
  Observer* observer_ = nullptr;

  // The writer's, and while a list is added to, of who holds list_mu_. Entries return their names
  // through the recycler, from whichever thread lets go last.
  absl::Mutex list_mu_;
  NameTable names_;
  Recycler recycler_;
  const WellKnown known_;
  std::optional<List> list_;
  uint64_t lists_ = 0;

  mutable base::SharedMutex mu_;
  Snapshot records_ ABSL_GUARDED_BY(mu_);
  ResponseCache cache_ ABSL_GUARDED_BY(mu_);
  std::vector<Assembly*> assemblies_ ABSL_GUARDED_BY(mu_);  // one for each thread that makes one
  size_t unreadable_images_ ABSL_GUARDED_BY(mu_) = 0;
  size_t unreadable_streams_ ABSL_GUARDED_BY(mu_) = 0;
  std::atomic<size_t> name_count_ = 0, name_bytes_ = 0;

  mutable std::atomic<uint64_t> hits_ = 0;
  mutable std::atomic<uint64_t> misses_ = 0;
};

}  // namespace strata::layers
