#include "storage/replica/edition.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/engine/layout.h"

namespace strata::replica {
namespace {

// A stored value is the object, or why it can't be read; and which of them it is comes last.
constexpr char kPresent = 'P';
constexpr char kUnreadable = 'U';

std::string Encode(const records::Change& change) {
  const bool present = change.state == records::Change::State::kPresent;
  const std::string& rest = present ? change.object : change.reason;
  std::string value;
  value.reserve(rest.size() + 1);
  value += rest;
  value += present ? kPresent : kUnreadable;
  return value;
}

records::Change Decode(records::Id id, std::string value, base::Revision revision) {
  records::Change change{.id = std::move(id), .revision = revision};
  const bool present = value.ends_with(kPresent);
  change.state = present ? records::Change::State::kPresent : records::Change::State::kUnreadable;
  if (!value.empty()) value.pop_back();
  (present ? change.object : change.reason) = std::move(value);
  return change;
}

}  // namespace

Edition::Edition(std::unique_ptr<engine::Mirror> mirror, const records::Keys& keys)
    : keys_(keys),
      mirror_(std::move(mirror)),
      // The revision is read first: a snapshot that is taken then has all up to it.
      reading_([this](const auto look) { return mirror_->Look(newest_, look); }, keys, Decode) {}

base::StatusOr<std::unique_ptr<Edition>> Edition::Make(CacheDir& dir, const records::Keys& keys) {
  STRATA_ASSIGN_OR_RETURN(auto mirror, engine::Mirror::Create(dir.NewPath()));
  if (dir.temporary()) mirror->Hide();
  return std::unique_ptr<Edition>(new Edition(std::move(mirror), keys));
}

size_t Edition::AddTo(std::vector<engine::Mirror::Version>& versions,
                      const std::vector<records::Change>& changes) {
  size_t bytes = 0;
  for (const records::Change& change : changes) {
    engine::Mirror::Version version{.key = keys_.KeyOf(change.id), .revision = change.revision};
    if (!engine::KeyFits(version.key)) {
      partial_ = true;
      continue;
    }
    if (change.state != records::Change::State::kDeleted) version.value = Encode(change);
    bytes += version.key.size() + (version.value ? version.value->size() : 0);
    versions.push_back(std::move(version));
  }
  return bytes;
}

void Edition::AddPage(const std::vector<records::Change>& page) {
  std::vector<engine::Mirror::Version> versions;
  versions.reserve(page.size());
  AddTo(versions, page);
  base::Revision newest = 0;
  for (const auto& version : versions) newest = std::max(newest, version.revision);
  absl::MutexLock lock(&mu_);
  newest_listed_ = std::max<base::Revision>(newest_listed_, newest);
  if (failure_.ok()) failure_ = mirror_->AddListed(versions);
}

base::Status Edition::EndList(base::Revision revision) {
  absl::MutexLock lock(&mu_);
  STRATA_RETURN_IF_ERROR(failure_);
  STRATA_RETURN_IF_ERROR(mirror_->BeginHistory(revision));
  oldest_ = revision;
  newest_ = revision;
  return base::OkStatus();
}

base::StatusOr<size_t> Edition::Append(const std::vector<reflector::Batch>& batches) {
  std::vector<engine::Mirror::Version> versions;
  size_t bytes = 0;
  for (const reflector::Batch& batch : batches) bytes += AddTo(versions, batch.changes);
  absl::MutexLock lock(&mu_);
  STRATA_RETURN_IF_ERROR(mirror_->Append(versions));
  return bytes;
}

base::StatusOr<bool> Edition::Forget(base::Revision revision, size_t max_changes) {
  // Who reads what is about to be forgotten finds that in its snapshot.
  oldest_ = std::max<base::Revision>(oldest_, revision);
  absl::MutexLock lock(&mu_);
  return mirror_->Forget(revision, max_changes);
}

base::StatusOr<bool> Edition::Continues(const Edition& before) const {
  if (partial_ || before.partial_ || records() != before.records() || newest_ < before.newest_ ||
      newest_listed_ > before.newest_) {
    return false;
  }
  bool same = true;
  const std::string_view everything("\0", 1);
  STRATA_RETURN_IF_ERROR(before.mirror_->Look(before.newest_, [&](const engine::View& old) {
    return mirror_->Look(newest_, [&](const engine::View& now) {
      return now.Walk("", everything, newest_,
                      [&](const engine::Version& version) -> base::StatusOr<bool> {
                        STRATA_ASSIGN_OR_RETURN(const auto kv, now.Load(version, true));
                        STRATA_ASSIGN_OR_RETURN(const auto was, old.Find(kv.key, old.revision()));
                        same = was == kv;
                        return same;
                      });
    });
  }));
  return same;
}

}  // namespace strata::replica
