#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "storage/rpc/server_fixture_test.h"
#include "test/support/no_threads.h"
#include "test/support/waiting.h"

namespace strata::rpc {
namespace {

using ::testing::StartsWith;

TEST_F(ServerTest, TellsItsStatusAndItsOneMember) {
  Start({.listen_urls = {"http://127.0.0.1:0"}, .member_name = "one"});
  grpc::ClientContext context;
  pb::StatusResponse status;
  ASSERT_TRUE(pb::Maintenance::NewStub(channel_)->Status(&context, {}, &status).ok());
  EXPECT_EQ(status.version(), "3.6.5");
  EXPECT_EQ(status.leader(), store_->member_id());
  EXPECT_GT(status.dbsize(), 0);
  EXPECT_LE(status.dbsizeinuse(), status.dbsize());
  grpc::ClientContext list_context;
  pb::MemberListResponse list;
  ASSERT_TRUE(pb::Cluster::NewStub(channel_)->MemberList(&list_context, {}, &list).ok());
  ASSERT_EQ(list.members_size(), 1);
  EXPECT_EQ(list.members(0).name(), "one");
  EXPECT_EQ(list.members(0).clienturls(0), server_->urls().at(0));
}

TEST_F(ServerTest, SendsASnapshotWithItsDigestOneAtATime) {
  Start();
  const auto maintenance = pb::Maintenance::NewStub(channel_);
  const auto take = [&](std::string& bytes) {
    grpc::ClientContext context;
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    uint64_t remaining = ~uint64_t{0};
    while (stream->Read(&piece)) {
      EXPECT_LE(piece.remaining_bytes(), remaining);
      remaining = piece.remaining_bytes();
      bytes += piece.blob();
    }
    EXPECT_EQ(remaining, 0u);
    return stream->Finish();
  };
  for (int round = 0; round < 3; ++round) {
    std::string bytes;
    ASSERT_TRUE(take(bytes).ok());
    EXPECT_EQ(bytes.size() % 512, 32u) << "whole pages and a SHA-256";
  }
  // Who leaves in the middle leaves the way free.
  {
    grpc::ClientContext context;
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    EXPECT_TRUE(stream->Read(&piece));
    context.TryCancel();
    (void)stream->Finish();
  }
  grpc::Status last;
  EXPECT_TRUE(testing_support::Eventually([&] {
    grpc::ClientContext context;
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    while (stream->Read(&piece)) {
    }
    last = stream->Finish();
    return last.ok();
  })) << last.error_message();
}

TEST_F(ServerTest, ASnapshotWhoseClientTakesNothingIsGivenUp) {
  Start({.snapshot_patience = absl::Milliseconds(200)});
  const auto maintenance = pb::Maintenance::NewStub(channel_);
  grpc::ClientContext idle;
  Limit(idle);
  const auto stream = maintenance->Snapshot(&idle, {});
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // The client may hear of it first.
  grpc::Status last;
  EXPECT_TRUE(testing_support::Eventually([&] {
    grpc::ClientContext context;
    Limit(context);
    const auto other = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    while (other->Read(&piece)) {
    }
    last = other->Finish();
    return last.ok();
  })) << last.error_message();
}

TEST_F(ServerTest, ASnapshotThatIsDeniedAThreadSaysSoAndLeavesTheWayFree) {
  Start();
  const auto maintenance = pb::Maintenance::NewStub(channel_);
  const auto take = [&] {
    grpc::ClientContext context;
    Limit(context);
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    while (stream->Read(&piece)) {
    }
    return stream->Finish();
  };
  ASSERT_TRUE(take().ok());
  {
    const testing_support::NoThreads denied;
    EXPECT_THAT(Text(take()), StartsWith("8 a thread for the snapshot is denied"));
  }
  EXPECT_TRUE(take().ok());
}

}  // namespace
}  // namespace strata::rpc
