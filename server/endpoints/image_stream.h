// GET …/imagestreams/{name}: the record itself.
#pragma once

#include <memory>

#include "lib/image/presentation.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/lane.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"

namespace strata::endpoints {

// Thread-safe. The index doesn't hold whole records: each is read from the backend, by a worker,
// for it waits there.
class ImageStreamHandler final : private FreshHandler {
 public:
  ImageStreamHandler(client::Client& client, records::Keys keys, Freshness& freshness, Lane readers,
                     image::RegistryHostnames registry);

  void Serve(std::shared_ptr<Call> call);

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  void Read(Call& call) const;
  void Answer(Call& call, const client::KeyValue& stored) const;

  client::Client& client_;
  const records::Keys keys_;
  Freshness& freshness_;
  const Lane readers_;
  const image::RegistryHostnames registry_;
};

}  // namespace strata::endpoints
