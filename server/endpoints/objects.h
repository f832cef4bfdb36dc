// GET of one object that is a record, or is made of records.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/api/error.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/lane.h"
#include "server/endpoints/record_reader.h"
#include "server/endpoints/seeker.h"

namespace strata::endpoints {

// The object that a call asks for, of its resource's type, or why there is none.
using Made = std::variant<api::Error, std::unique_ptr<google::protobuf::Message>>;
using Maker = std::function<Made(RecordReader& records, const Call& call)>;

// What reading a record failed with, as it is answered.
api::Error ErrorOf(const base::Status& status, std::string_view what);

// Answers a GET with the object, of the call's resource, in the form that the client wants.
void AnswerObject(Call& call, const google::protobuf::Message& object, const base::Clock& clock,
                  const std::vector<std::string>& warnings = {});

// Thread-safe. Records are read by a worker, for it waits there; those that aren't there are sought
// before the answer says so.
class ObjectHandler final : private FreshHandler {
 public:
  ObjectHandler(const RecordReader::Source& source, Freshness& freshness, const Seeker& seeker,
                Lane readers, const base::Clock& clock, Maker make)
      : source_(source),
        freshness_(freshness),
        seeker_(seeker),
        readers_(std::move(readers)),
        clock_(clock),
        make_(std::move(make)) {}

  void Serve(std::shared_ptr<Call> call);

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  void Read(const std::shared_ptr<Call>& call, base::Revision revision);
  void Answer(Call& call, const Made& made) const;

  const RecordReader::Source& source_;
  Freshness& freshness_;
  const Seeker& seeker_;
  const Lane readers_;
  const base::Clock& clock_;
  const Maker make_;
};

}  // namespace strata::endpoints
