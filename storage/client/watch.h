// One watch on one stream (etcd rpc.proto Watch).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/revision.h"
#include "base/status.h"
#include "storage/client/client.h"

namespace strata::client {

struct Event {
  enum class Type { kPut, kDelete };
  Type type = Type::kPut;
  std::string key;
  std::string value;            // of a put
  base::Revision revision = 0;  // of the change
  bool created = false;         // a put of a key that wasn't there
};

struct WatchMessage {
  // Of whole revisions, in order: a revision's events are never divided between messages.
  std::vector<Event> events;
  // The watch has seen everything up to here: the last event's revision, or a progress
  // notification's. 0: nothing new.
  base::Revision revision = 0;
};

// Next is called by one thread; RequestProgress and Cancel by any.
class Watch {
 public:
  ~Watch();

  // Waits for the next message; the first call opens the stream. kOutOfRange: the start revision is
  // compacted; any other error: the stream is broken. A dead peer is noticed by keepalive.
  base::StatusOr<WatchMessage> Next();

  // Asks for a notification of the current revision. Nothing happens if the stream isn't open.
  void RequestProgress();

  // Makes Next return an error, now or when it is called.
  void Cancel();

 private:
  friend class Client;
  struct Stream;
  explicit Watch(std::unique_ptr<Stream> stream);
  const std::unique_ptr<Stream> stream_;
};

}  // namespace strata::client
