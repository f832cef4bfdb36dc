// Answers that aren't at hand: made without the lock, and kept if nothing has changed meanwhile.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/layers/index.h"

namespace strata::layers {
namespace {

// Names that are looked at under one lock.
constexpr size_t kSteps = 256;
// Walks that begin anew because lists changed meanwhile.
constexpr int kAttempts = 16;

base::StatusOr<std::shared_ptr<const Encoded>> AnswerOrRefusal(
    std::shared_ptr<const Encoded> answer) {
  if (answer->is_refusal) return base::DataLossError(answer->body);
  return answer;
}

}  // namespace

base::StatusOr<std::shared_ptr<const Encoded>> Index::Build(const Gathered& gathered,
                                                            const Form& form) {
  {
    base::ReaderMutexLock lock(&mu_);
    if (auto answer = cache_.Find(gathered.stream->key(), form); answer != nullptr)
      return AnswerOrRefusal(std::move(answer));
  }
  STRATA_ASSIGN_OR_RETURN(Encoded encoded, layers::Build(names_, known_, gathered, form));
  if (options_.tells_missing) encoded.missing = MissingIn(names_, gathered);
  auto answer = std::make_shared<const Encoded>(std::move(encoded));
  ResponseCache::Dropped dropped;  // freed after the lock is
  base::MutexLock lock(&mu_);
  if (!IsCurrent(gathered)) return answer;
  cache_.Insert(gathered.stream->key(), form, answer, gathered.nodes, {});
  dropped = cache_.TakeDropped();
  return answer;
}

base::StatusOr<std::vector<std::string>> Index::WithChildren(std::vector<std::string> names) const {
  base::StringSet known(names.begin(), names.end());
  names.assign(known.begin(), known.end());
  for (size_t at = 0; at < names.size();) {
    if (names.size() > options_.max_entries_per_answer)
      return base::DataLossError(TooLarge(options_.max_entries_per_answer));
    base::ReaderMutexLock lock(&mu_);
    for (size_t steps = 0; at < names.size() && steps < kSteps; ++at, ++steps) {
      const ImagePointer image = records_.images.Find(names_.Find(names[at]));
      // A name that the index doesn't know may have got another one's id before the lock was.
      if (image == nullptr || names_.Text(image->name()) != names[at]) continue;
      steps += image->manifests().size();
      for (const NameId child : image->manifests()) {
        std::string name = names_.Text(child);
        if (known.insert(name).second) names.push_back(std::move(name));
      }
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// An assembly is known to the writer while it is made.
struct Index::Listed {
  Listed(Index& i, Assembly& a) : index(i), assembly(a) {
    base::MutexLock lock(&index.mu_);
    index.assemblies_.push_back(&assembly);
  }
  ~Listed() {
    base::MutexLock lock(&index.mu_);
    std::erase(index.assemblies_, &assembly);
    assembly.Close();
  }
  Index& index;
  Assembly& assembly;
};

base::StatusOr<std::shared_ptr<const Encoded>> Index::Make(Assembly& assembly,
                                                           const std::stop_token& stop) {
  const Listed listed(*this, assembly);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    STRATA_ASSIGN_OR_RETURN(std::shared_ptr<const Encoded> answer, BeginWalk(assembly));
    if (answer != nullptr) return AnswerOrRefusal(std::move(answer));
    const Walk::State walked = FinishWalk(assembly, stop);
    if (stop.stop_requested()) return base::CancelledError("nobody waits any more");
    if (walked != Walk::State::kMore) return Encode(assembly, walked, stop);
  }
  return base::UnavailableError("the stream's images change too quickly");
}

base::StatusOr<std::shared_ptr<const Encoded>> Index::BeginWalk(Assembly& assembly) {
  Walk before;  // freed after the lock is
  base::ReaderMutexLock lock(&mu_);
  const StreamPointer stream = records_.streams.Find(assembly.key());
  auto answer = cache_.Find(assembly.key(), assembly.form());
  // What is told at once is of now: no walk says what would make it wrong for who asks later.
  if (answer != nullptr || stream == nullptr || !stream->usable()) assembly.Close();
  if (answer != nullptr) return answer;
  if (stream == nullptr) return base::NotFoundError("there is no such stream");
  if (!stream->usable()) return Unreadable(stream->unreadable());
  before = std::exchange(assembly.walk_, Walk(stream, options_.max_entries_per_answer));
  assembly.walking_ = true;
  assembly.begins_again_ = false;
  return std::shared_ptr<const Encoded>();
}

Walk::State Index::FinishWalk(Assembly& assembly, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    base::ReaderMutexLock lock(&mu_);
    if (assembly.begins_again_) break;
    const Walk::State state = assembly.walk_.Step(kSteps, records_.images);
    if (state == Walk::State::kMore) continue;
    assembly.walking_ = false;
    return state;
  }
  return Walk::State::kMore;
}

base::StatusOr<std::shared_ptr<const Encoded>> Index::Encode(Assembly& assembly, Walk::State walked,
                                                             const std::stop_token& stop) {
  const Gathered gathered = assembly.walk_.TakeGathered();
  Encoded encoded{.body = TooLarge(options_.max_entries_per_answer), .is_refusal = true};
  if (walked == Walk::State::kDone) {
    auto built = layers::Build(names_, known_, gathered, assembly.form(), stop);
    if (built.ok()) {
      encoded = *std::move(built);
      if (options_.tells_missing) encoded.missing = MissingIn(names_, gathered);
    } else if (built.status().code() == base::StatusCode::kDataLoss) {
      encoded.body = std::string(base::Message(built.status()));
    } else {
      return built.status();
    }
  }
  const auto answer = std::make_shared<const Encoded>(std::move(encoded));
  ResponseCache::Dropped dropped;  // freed after the lock is
  {
    base::MutexLock lock(&mu_);
    if (assembly.is_open()) {
      cache_.Insert(assembly.key(), assembly.form(), answer, gathered.nodes,
                    assembly.walk_.TakeReach());
      assembly.Close();  // from now on changes drop what is kept
    }
    dropped = cache_.TakeDropped();
  }
  return AnswerOrRefusal(answer);
}

bool Index::IsCurrent(const Gathered& gathered) const {
  if (records_.streams.Find(gathered.stream->key()) != gathered.stream) return false;
  return std::all_of(gathered.nodes.begin(), gathered.nodes.end(),
                     [this](const Gathered::Node& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                       return records_.images.Find(node.name) == node.image;
                     });
}

}  // namespace strata::layers
