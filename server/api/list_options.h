// What a list or a watch asks (k8s.io/apimachinery pkg/apis/meta/internalversion, and what
// k8s.io/apiserver makes of it: pkg/endpoints/handlers/get.go ListResource,
// pkg/storage/interfaces.go ValidateListOptions, pkg/storage/cacher). Feature gates are as in
// 1.34: WatchList is on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "server/api/error.h"
#include "server/api/field_selector.h"
#include "server/api/label_selector.h"
#include "server/api/query.h"
#include "server/api/request_info.h"
#include "server/registry/resource.h"

namespace strata::api {

// The parameters as they are sent (metav1.ListOptions).
struct ListParameters {
  LabelSelector labels;
  FieldSelector fields;
  bool watch = false;
  bool allow_watch_bookmarks = false;
  std::string resource_version;
  std::string resource_version_match;
  std::optional<int64_t> timeout_seconds;
  int64_t limit = 0;
  std::string continue_token;
  std::optional<bool> send_initial_events;
};

// The first of each parameter counts; others are ignored. An error is upstream's text of a 400.
base::StatusOr<ListParameters> DecodeListParameters(const Query& query);

// The same, understood.
struct ListOptions {
  LabelSelector labels;
  // Also demands the name of a path that names one object.
  FieldSelector fields;

  // Which records are read. The namespace of the path, or what the fields demand; empty for all.
  // A page that is continued stays with its path: the token's key is relative to that.
  std::string ns;
  // The only record that can match, if the fields demand its name and `ns` is known.
  std::optional<std::string> name;

  // At which revision a list reads, or what a watch begins with.
  enum class Read {
    kFresh,         // the newest when the request came in
    kAnyAge,        // what is at hand
    kNotOlderThan,  // `revision` or later
    kExact,         // `revision` itself; a watch without initial events: what came after it
  };
  Read read = Read::kFresh;
  base::Revision revision = 0;  // at most INT64_MAX, whatever is asked
  std::string revision_text;    // as asked: for TooLargeResourceVersion

  // Of a list.
  int64_t limit = 0;                 // 0: everything
  std::optional<std::string> start;  // of a page but the first: ContinuePoint::start

  // Of a watch.
  bool watch = false;
  // What there is comes first, as ADDED. Without, kFresh and kAnyAge begin behind that revision.
  bool initial_events = false;
  // Behind them comes a bookmark that says so.
  bool initial_events_end = false;
  bool allow_bookmarks = false;
  // Nothing: as long as the server likes. Zero doesn't come; a negative one is over at once.
  std::optional<std::chrono::nanoseconds> timeout;
};

// `info` is a list's or a watch's request. `not_acceptable`: what is wrong with the form that the
// client wants, if something is; upstream finds it between two looks at the parameters, and the
// first error of all is the one that is told. What a watch alone can't be sent as (its framing,
// includeObject) is found behind all of this.
std::variant<Error, ListOptions> ParseListOptions(const RequestInfo& info,
                                                  const registry::Resource& resource,
                                                  const std::optional<Error>& not_acceptable = {});

}  // namespace strata::api
