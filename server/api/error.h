// The errors that clients see: one type, turned into a response in one place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/transport/http/message.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/request_info.h"
#include "server/registry/resource.h"
#include "server/wire/negotiate.h"

namespace strata::api {

struct Cause {
  std::string reason;
  std::string message;
  std::string field;
};

struct Details {
  std::string name, group, kind;
  std::vector<Cause> causes;
  int retry_after_seconds = 0;
};

struct Error {
  enum class Form {
    kStatus,          // a metav1.Status, in the form that the client accepts
    kIndentedStatus,  // as indented JSON, whatever the client accepts: what no negotiation found is
                      // refused so (responsewriters.WriteRawJSON)
    kBareStatus,      // JSON without kind and apiVersion, labelled as text: what the reference's
                      // timeout filter writes
    kText,            // plain text
  };
  int code = 500;
  std::string reason;
  std::string message;
  std::optional<Details> details;
  Form form = Form::kStatus;
  int retry_after_seconds = 0;      // of a text; a Status has it in its details
  std::string continue_token = {};  // of a list that is gone: for the rest of it, as it is now
};

// k8s.io/apimachinery pkg/api/errors, by the names of its constructors.
// No object of this name; of a subresource, none of its resource's.
Error NotFound(const registry::Resource& resource, std::string_view name);
// The same, whose kind is the resource's singular name.
Error NotFoundSingular(const registry::Resource& resource, std::string_view name);
Error NotFoundGeneric();  // no such route in the group
Error MethodNotAllowed();
// Of a resource that can be listed (NewMethodNotSupported).
Error WatchNotSupported(const registry::Resource& resource);
Error BadRequest(std::string_view message);
Error Unauthorized();
// "User … cannot get resource …"; `reason` is the authorizer's, if it gave one.
Error Forbidden(std::string_view user, const RequestInfo& info, std::string_view reason);
Error NotAcceptable(wire::Refusal refusal);
// Refusal::kMediaType where there are lists and watches.
Error NotAcceptableCollection();
// A list was asked for, and an object of the resource is none.
Error NotAcceptableList(const registry::Resource& resource, std::string_view list_kind);
// An object was asked for, and there is a list.
Error NotAcceptableObject(const registry::Resource& resource, std::string_view kind);
// A watch was asked for in a form that can't be divided into frames.
Error NotAcceptableWatch();
Error InternalError(std::string_view message);
// 500 ServerTimeout, to be tried again: the index isn't complete.
Error ServerTimeout(const registry::Resource& resource);
// 504 Timeout, to be tried again: the storage backend can't be asked.
Error StorageTimeout(std::string_view message);
// 504: the request's own time is over.
Error RequestTimeout();
Error TooLargeResourceVersion(std::string_view asked, int64_t current);
// Of a get or a watch: `why` is ParseResourceVersion's. A list says BadRequest.
Error InvalidResourceVersion(const base::Status& why);
// 422: parameters of a list or a watch that don't go together.
Error InvalidListOptions(std::vector<Cause> causes);
// 410: no history goes back to the revision that a list names.
Error ExpiredList();
// The same of a page but the first: the client may go on at `start` (ContinuePoint), at the newest.
Error ExpiredContinue(std::string_view start);
// 410, of a watch's ERROR event: what came behind `asked` is known behind `oldest` alone.
Error TooOldResourceVersion(base::Revision asked, base::Revision oldest);
Error TooManyRequests();
// 429, to be tried again: what clients haven't read yet takes all the room there is for answers.
Error TooManyUnreadAnswers();
// 500, as text: what the request is about, or whether it is allowed, can't be told
// (responsewriters.InternalError).
Error InternalErrorText(std::string_view target, std::string_view message);
// An exception reached the barrier.
Error Panic();

// What a watch sends of one that comes up after its beginning.
::k8s::io::apimachinery::pkg::apis::meta::v1::Status StatusOf(const Error& error);

// In the client's preferred form; as indented JSON where it accepts none of ours.
http::Response ToResponse(const Error& error, const wire::Preference& preference);

}  // namespace strata::api
