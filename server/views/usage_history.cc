#include "server/views/usage_history.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/views/key_range.h"

namespace strata::views {
namespace {

constexpr auto kKind = records::Kind::kImageStream;

records::Id IdOf(const v1alpha1::LayerUsage& usage) {
  return {kKind, usage.metadata().name(), usage.metadata().name()};
}

records::Change ChangeOf(const v1alpha1::LayerUsage& usage, base::Revision revision) {
  return {IdOf(usage), records::Change::State::kPresent, revision, usage.SerializeAsString(), {}};
}

}  // namespace

base::StatusOr<std::shared_ptr<const Usages>> UsageHistory::At(base::Revision revision,
                                                               std::stop_token stop) const {
  auto snapshot = timeline_.At(revision);
  if (!snapshot) return base::OutOfRangeError("the revision is forgotten");
  return memory_.Of(index_.Of(*std::move(snapshot), std::move(stop)));
}

base::StatusOr<replica::Page> UsageHistory::Read(const replica::Selection& selection) const {
  STRATA_ASSIGN_OR_RETURN(const auto usages, At(selection.revision, selection.stop));
  replica::Page page;
  const KeyRange range(keys_, kKind, selection);
  if (range.is_empty()) return page;
  const auto first =
      std::partition_point(usages->begin(), usages->end(), [&](const v1alpha1::LayerUsage& usage) {
        return KeyOf(usage.metadata().name()) < range.begin();
      });
  const auto end =
      std::partition_point(first, usages->end(), [&](const v1alpha1::LayerUsage& usage) {
        return !range.IsBehind(KeyOf(usage.metadata().name()));
      });
  page.count = end - first;
  size_t bytes = 0;
  for (auto usage = first; usage != end; ++usage) {
    if (range.IsFull(page.records.size(), bytes)) {
      page.next = keys_.KeyOf(IdOf(*usage));
      break;
    }
    page.records.push_back(ChangeOf(*usage, selection.revision));
    bytes += page.records.back().object.size();
  }
  return page;
}

base::StatusOr<std::optional<records::Change>> UsageHistory::Find(const records::Id& id,
                                                                  base::Revision revision,
                                                                  base::MonotonicTime) const {
  STRATA_ASSIGN_OR_RETURN(const auto usages, At(revision));
  const v1alpha1::LayerUsage* usage = views::Find(*usages, id.ns);
  if (usage == nullptr || IdOf(*usage) != id) return std::optional<records::Change>();
  return std::optional(ChangeOf(*usage, revision));
}

base::StatusOr<base::Revision> UsageHistory::Changes(
    const replica::Interval&, absl::FunctionRef<void(replica::Event event)>) const {
  return base::OutOfRangeError("nobody watches what namespaces take");
}

}  // namespace strata::views
