// One watch on one stream (etcd rpc.proto Watch).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
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

// A stream belongs to one process of the backend for all its life: whoever has it open knows that
// this process has neither ended nor been replaced meanwhile.
//
// AwaitOpen, Begin and Next are called by one thread at a time; the others by any, and what they
// ask for is written by a thread of the stream's: none of them waits for a peer that takes nothing.
class Watch {
 public:
  ~Watch();

  // Of a stream that is opened without a watch: waits until the backend has answered on it, and
  // returns its cluster's id, which is 0 if it has none (kine). What lies between may let streams
  // through and keep the connection alive, and answer none: hence the deadline, at which the stream
  // is over.
  base::StatusOr<uint64_t> AwaitOpen(base::MonotonicTime deadline);
  // Asks for the watch on such a stream. Once, when it is open. Its confirmation is Next's next
  // message, whoever waits in Next.
  void Ask(const WatchOptions& options);
  // The same, and waits for that.
  base::StatusOr<WatchMessage> Begin(const WatchOptions& options, base::MonotonicTime deadline);

  // Waits for the next message; the first call opens the stream, and the first message confirms the
  // watch. kOutOfRange: the start revision is compacted; any other error: the stream is broken. A
  // dead peer is noticed by keepalive.
  base::StatusOr<WatchMessage> Next();

  // Asks for a notification of the current revision. Nothing happens if the stream isn't open, or
  // has no watch.
  void RequestProgress();

  // Asks the process at the other end for a sign of life, which Next returns as a message without
  // anything. Returns which one it is, for AwaitSign.
  uint64_t Poke();
  // Whether that sign comes in time; at once if the stream ends. Another thread must call Next
  // meanwhile.
  bool AwaitSign(uint64_t sign, base::MonotonicTime deadline);
  // Both.
  bool Ping(base::MonotonicTime deadline);

  // The version of the server at the other end of an open stream, "3.6.5"; empty if that doesn't
  // tell. An error says nothing of it: what is opened next is another endpoint's, or has another
  // connection.
  base::StatusOr<std::string> Version(base::MonotonicTime deadline,
                                      Cancellation* cancellation = nullptr);

  // Makes Next return an error, now or when it is called.
  void Cancel();
  // The same, of an open stream whose peer is silent: what is opened next is another endpoint's, or
  // has another connection.
  void GiveUp();

 private:
  friend class Client;
  struct Stream;
  explicit Watch(std::unique_ptr<Stream> stream);
  const std::unique_ptr<Stream> stream_;
};

}  // namespace strata::client
