// GET …/imagestreams/{name}/secrets: with what the pods of its namespace pull images
// (openshift-apiserver pkg/image/apiserver/registry/imagesecret/rest.go).
#pragma once

#include <memory>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "proto/image/image_v1.pb.h"
#include "server/endpoints/call.h"
#include "server/endpoints/lane.h"
#include "server/kube/api.h"
#include "server/layers/answer.h"

namespace strata::endpoints {

// Thread-safe. Nothing is kept: each request asks kube-apiserver, as the account of `kube`, what
// the user's rights there are not being asked about. A list that kube-apiserver answers is bounded
// by its client, how many there are at a time by the lane.
class SecretsHandler {
 public:
  using List = ::github::com::openshift::api::image::v1::SecretList;

  // Those of the lane wait for `kube`.
  SecretsHandler(kube::Api& kube, Lane askers, const base::Clock& clock)
      : kube_(kube), askers_(std::move(askers)), clock_(clock) {}

  // The stream needn't be there: its name is looked at by nobody.
  void Serve(const std::shared_ptr<Call>& call);

 private:
  void Ask(Call& call, const layers::Form& form) const;
  base::StatusOr<List> Fetch(const Call& call) const;

  kube::Api& kube_;
  const Lane askers_;
  const base::Clock& clock_;
};

}  // namespace strata::endpoints
