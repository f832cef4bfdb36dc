// GET of the objects of layers.strata.dev: what the index knows, as one request may see it.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "server/endpoints/audiences.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/lane.h"
#include "server/endpoints/seeker.h"
#include "server/endpoints/work.h"
#include "server/layers/index.h"
#include "server/views/reach.h"
#include "server/views/usage.h"

namespace strata::endpoints {

// How an object is made. kNotFound: there is none, or none that may be seen.
struct ViewQuery {
  using Object = base::StatusOr<std::unique_ptr<google::protobuf::Message>>;
  std::function<Object(const layers::Reading&, const Call&, const views::Audience&)> show;
  // Of which it depends what is shown of it; null: whoever may get it may see all of it.
  std::function<base::StatusOr<std::vector<std::string>>(const layers::Reading&, const Call&)>
      namespaces = nullptr;
  // The records that there aren't, of those of which an answer tells that: it is this object, or
  // null, that there is none.
  std::function<std::vector<records::Id>(const layers::Reading&, const Call&,
                                         const google::protobuf::Message* object)>
      absent = nullptr;
};

ViewQuery BlobQuery();
ViewQuery ImageLayersQuery();
ViewQuery ImageStreamLayersQuery();
// The memory outlives it.
ViewQuery LayerUsageQuery(views::UsageMemory& memory);

// Thread-safe. Workers look, for it takes some milliseconds. What an answer says is absent is
// sought before.
class ViewHandler final : private FreshHandler {
 public:
  // All but the query outlive it.
  ViewHandler(const layers::Index& index, Freshness& freshness, const Seeker& seeker,
              const Audiences& audiences, Lane workers, const base::Clock& clock, ViewQuery query)
      : index_(index),
        freshness_(freshness),
        seeker_(seeker),
        audiences_(audiences),
        workers_(std::move(workers)),
        clock_(clock),
        query_(std::move(query)) {}

  void Serve(std::shared_ptr<Call> call);

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  // `undecided`: why it isn't known whether that is everything, or empty.
  void AskWhatIsSeen(Work& work, const std::string& undecided);
  void Show(Work& work, const Audiences::Answer& seen);
  void Conclude(Work& work, const layers::Reading& reading, ViewQuery::Object object,
                const Audiences::Answer& seen);
  void Answer(Call& call, const ViewQuery::Object& object,
              const std::vector<std::string>& warnings) const;

  const layers::Index& index_;
  Freshness& freshness_;
  const Seeker& seeker_;
  const Audiences& audiences_;
  const Lane workers_;
  const base::Clock& clock_;
  const ViewQuery query_;
};

// Has `handler` serve whom all image streams are shown to, and nobody else.
CallHandler ForWhoSeesAll(const Audiences& audiences, CallHandler handler);

}  // namespace strata::endpoints
