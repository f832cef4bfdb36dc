// Package store puts the embedded store beside etcd: the same calls, the same answers; and then to the test of kills,
// power cuts and broken disks.
package store

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"strata/test/rig"
)

// A call is one request of any service of the API, or a few that belong together.
type call struct {
	name    string
	request any
}

// Where an answer isn't that of etcd 3.6, and why; by area and name.
var (
	ours = map[string]string{
		"txn/a result that isn't": "refused: etcd takes a comparison that it doesn't know for true",
		"txn/a target that isn't": "refused: etcd takes a comparison that it doesn't know for true",
	}
	// An odd target makes 3.4 end with a panic, so it isn't asked.
	etcd34 = map[string]string{
		"range/an order that isn't":      "not refused",
		"range/a target that isn't":      "",
		"maintenance/no alarms":          "no header",
		"maintenance/end one that isn't": "no header",
		"maintenance/full":               "no header",
		"maintenance/alarms":             "no header",
		"maintenance/other alarms":       "no header",
		"maintenance/end it":             "no header",
	}
)

// ask sends one request and gives all that came back as text, without what must differ between two stores.
func ask(ctx context.Context, conn *grpc.ClientConn, request any) string {
	kv, lease, maintenance := pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewMaintenanceClient(conn)
	var answer fmt.Stringer
	var err error
	switch r := request.(type) {
	case *pb.PutRequest:
		answer, err = kv.Put(ctx, r)
	case *pb.RangeRequest:
		answer, err = kv.Range(ctx, r)
	case *pb.DeleteRangeRequest:
		answer, err = kv.DeleteRange(ctx, r)
	case *pb.TxnRequest:
		answer, err = kv.Txn(ctx, r)
	case *pb.CompactionRequest:
		answer, err = kv.Compact(ctx, r)
	case *pb.LeaseGrantRequest:
		answer, err = lease.LeaseGrant(ctx, r)
	case *pb.LeaseRevokeRequest:
		answer, err = lease.LeaseRevoke(ctx, r)
	case *pb.LeaseTimeToLiveRequest:
		var left *pb.LeaseTimeToLiveResponse
		left, err = lease.LeaseTimeToLive(ctx, r)
		if left != nil {
			slices.SortFunc(left.Keys, bytes.Compare) // 3.4 has them in any order
		}
		if left != nil && left.TTL > 0 && left.TTL >= left.GrantedTTL-30 {
			left.TTL = left.GrantedTTL // a moment has gone by
		}
		answer = left
	case *pb.LeaseLeasesRequest:
		answer, err = lease.LeaseLeases(ctx, r)
	case *pb.LeaseKeepAliveRequest:
		stream, failure := lease.LeaseKeepAlive(ctx)
		if failure != nil {
			return failure.Error()
		}
		if err = stream.Send(r); err == nil {
			answer, err = stream.Recv()
		}
		stream.CloseSend()
	case *pb.AlarmRequest:
		answer, err = maintenance.Alarm(ctx, r)
	case *pb.DefragmentRequest:
		answer, err = maintenance.Defragment(ctx, r)
	case *pb.HashKVRequest:
		var hash *pb.HashKVResponse
		hash, err = maintenance.HashKV(ctx, r)
		if hash != nil {
			hash.Hash = 0
			hash.HashRevision = 0 // 3.4 doesn't have it
		}
		answer = hash
	case *pb.AuthenticateRequest:
		answer, err = pb.NewAuthClient(conn).Authenticate(ctx, r)
	default:
		panic(fmt.Sprintf("%T", request))
	}
	if err != nil {
		return fmt.Sprintf("%s: %s", status.Code(err), status.Convert(err).Message())
	}
	return withoutIdentity(answer.String())
}

// withoutIdentity takes the names of the cluster, of the member and of its term away.
func withoutIdentity(text string) string {
	return identity.ReplaceAllString(text, "")
}

var identity = regexp.MustCompile(`\b(cluster_id|member_id|raft_term|memberID):\d+ `)

func put(key, value string) *pb.PutRequest {
	return &pb.PutRequest{Key: []byte(key), Value: []byte(value)}
}
func get(key, end string) *pb.RangeRequest {
	return &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)}
}
func erase(key, end string) *pb.DeleteRangeRequest {
	return &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}
}

func op(request any) *pb.RequestOp {
	switch r := request.(type) {
	case *pb.PutRequest:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
	case *pb.RangeRequest:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
	case *pb.DeleteRangeRequest:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}}
	case *pb.TxnRequest:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: r}}
	}
	return &pb.RequestOp{}
}

func ops(requests ...any) []*pb.RequestOp {
	var list []*pb.RequestOp
	for _, request := range requests {
		list = append(list, op(request))
	}
	return list
}

func then(requests ...any) *pb.TxnRequest { return &pb.TxnRequest{Success: ops(requests...)} }

func compare(key, end string, target pb.Compare_CompareTarget, result pb.Compare_CompareResult, number int64,
	value string) *pb.Compare {
	c := &pb.Compare{Key: []byte(key), RangeEnd: []byte(end), Target: target, Result: result}
	switch target {
	case pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: number}
	case pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: number}
	case pb.Compare_MOD:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: number}
	case pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: number}
	default:
		c.TargetUnion = &pb.Compare_Value{Value: []byte(value)}
	}
	return c
}

func puts() []call {
	return []call{
		{"plain", put("a", "1")}, {"again", put("a", "2")}, {"other", put("b", "1")}, {"empty value", put("c", "")},
		{"empty key", put("", "1")},
		{"bytes", put("\x00\xff\x00\x01", "\x00\xfe")}, {"a byte more", put("\x00\xff\x00\x01\x00", "x")},
		{"a slash", put("a/b", "1")}, {"an end mark", put("a\x00", "1")},
		{"with the previous one", &pb.PutRequest{Key: []byte("a"), Value: []byte("3"), PrevKv: true}},
		{"with a previous one that isn't", &pb.PutRequest{Key: []byte("new"), Value: []byte("3"), PrevKv: true}},
		{"of an unknown lease", &pb.PutRequest{Key: []byte("a"), Lease: 77}},
		{"keeping the value", &pb.PutRequest{Key: []byte("a"), IgnoreValue: true, PrevKv: true}},
		{"keeping the value of nothing", &pb.PutRequest{Key: []byte("nothing"), IgnoreValue: true}},
		{"keeping the value, with one", &pb.PutRequest{Key: []byte("a"), Value: []byte("x"), IgnoreValue: true}},
		{"keeping the lease", &pb.PutRequest{Key: []byte("a"), Value: []byte("4"), IgnoreLease: true}},
		{"keeping the lease of nothing", &pb.PutRequest{Key: []byte("nothing"), IgnoreLease: true}},
		{"keeping the lease, with one", &pb.PutRequest{Key: []byte("a"), Lease: 1, IgnoreLease: true}},
		{"keeping both", &pb.PutRequest{Key: []byte("a"), IgnoreLease: true, IgnoreValue: true, PrevKv: true}},
		{"too large", put("large", strings.Repeat("x", 1600*1024))},
		{"just not too large", put("large", strings.Repeat("x", 1500*1024))},
		{"without the large one", erase("large", "")},
	}
}

func ranges() []call {
	var calls []call
	for i, value := range []string{"3", "1", "2", "2", "0"} {
		calls = append(calls, call{"fill", put(fmt.Sprint("r", i), value)})
	}
	calls = append(calls, call{"fill", put("r1", "5")}, call{"fill", put("r3", "1")}, call{"fill", erase("r4", "")})
	for order := range len(pb.RangeRequest_SortOrder_name) {
		for target := range len(pb.RangeRequest_SortTarget_name) {
			for _, limit := range []int64{0, 1, 3, 99, -1} {
				for flags := 0; flags < 4; flags++ {
					r := get("r", "s")
					r.SortOrder, r.SortTarget, r.Limit = pb.RangeRequest_SortOrder(order), pb.RangeRequest_SortTarget(target), limit
					r.KeysOnly, r.CountOnly = flags&1 != 0, flags&2 != 0
					calls = append(calls, call{fmt.Sprint("sorted ", r.SortOrder, r.SortTarget, limit, flags), r})
				}
			}
		}
	}
	for _, span := range [][2]string{{"r1", ""}, {"r1", "\x00"}, {"\x00", "\x00"}, {"r9", "r1"}, {"r1", "r1"}, {"", ""},
		{"", "z"}, {"\x00", ""}, {"r", "r2"}, {"r1", "r1\x00"}, {"nothing", ""}} {
		for _, revision := range []int64{0, -1, 5, 20, 1, 9999} {
			r := get(span[0], span[1])
			r.Revision = revision
			calls = append(calls, call{fmt.Sprintf("%q at %d", span, revision), r})
		}
	}
	for i, change := range []func(*pb.RangeRequest, int64){
		func(r *pb.RangeRequest, n int64) { r.MinModRevision = n }, func(r *pb.RangeRequest, n int64) { r.MaxModRevision = n },
		func(r *pb.RangeRequest, n int64) { r.MinCreateRevision = n },
		func(r *pb.RangeRequest, n int64) { r.MaxCreateRevision = n }} {
		for n := int64(-1); n < 35; n += 3 {
			for _, limit := range []int64{0, 2} {
				r := get("\x00", "\x00")
				r.Limit = limit
				change(r, n)
				calls = append(calls, call{fmt.Sprint("filter ", i, " ", n, " ", limit), r})
			}
		}
	}
	odd := get("r", "s")
	odd.SortOrder = 9
	target := get("r", "s")
	target.SortTarget, target.SortOrder = 9, pb.RangeRequest_ASCEND
	stale := get("r", "s")
	stale.Serializable = true
	return append(calls, call{"an order that isn't", odd}, call{"a target that isn't", target}, call{"serializable", stale})
}

func deletes() []call {
	fill := then(put("d1", "1"), put("d2", "2"), put("d3", "3"), put("d4", "4"))
	with := func(r *pb.DeleteRangeRequest) *pb.DeleteRangeRequest { r.PrevKv = true; return r }
	return []call{{"fill", fill}, {"one", erase("d1", "")}, {"none", erase("d1", "")}, {"with what was", with(erase("d2", ""))},
		{"no key", erase("", "")}, {"the wrong way round", erase("d9", "d0")}, {"a range", with(erase("d", "e"))},
		{"fill again", fill}, {"from one on", with(erase("d3", "\x00"))}, {"read", get("\x00", "\x00")}}
}

func txns() []call {
	calls := []call{{"fill", then(put("t1", "b"), put("t2", "c"))}, {"fill", put("t1", "b")}}
	for target := range len(pb.Compare_CompareTarget_name) {
		for result := range len(pb.Compare_CompareResult_name) {
			for _, span := range [][2]string{{"t1", ""}, {"nothing", ""}, {"t", "u"}, {"x", "y"}, {"t1", "\x00"}} {
				for _, number := range []int64{0, 1, 2} {
					c := compare(span[0], span[1], pb.Compare_CompareTarget(target), pb.Compare_CompareResult(result), number,
						string(rune('a'+number)))
					calls = append(calls, call{fmt.Sprint("compare ", c.Target, c.Result, span, number),
						&pb.TxnRequest{Compare: []*pb.Compare{c}, Success: ops(get("t1", "")), Failure: ops(get("t2", ""))}})
				}
			}
		}
	}
	odd := compare("t1", "", pb.Compare_VERSION, 9, 1, "")
	none := compare("t1", "", 9, pb.Compare_EQUAL, 1, "")
	nokey := compare("", "", pb.Compare_VERSION, pb.Compare_EQUAL, 1, "")
	yes := compare("t1", "", pb.Compare_VERSION, pb.Compare_GREATER, 0, "")
	no := compare("t1", "", pb.Compare_VERSION, pb.Compare_LESS, 0, "")
	at := func(revision int64) *pb.RangeRequest { r := get("t1", ""); r.Revision = revision; return r }
	var many, deep []any
	for i := 0; i < 129; i++ {
		many = append(many, put(fmt.Sprint("m", i), ""))
	}
	for i := 0; i < 100; i++ {
		deep = append(deep, put(fmt.Sprint("n", i), ""))
	}
	nested := func(c *pb.Compare, success, failure []*pb.RequestOp) *pb.TxnRequest {
		return &pb.TxnRequest{Compare: []*pb.Compare{c}, Success: success, Failure: failure}
	}
	return append(calls, []call{
		{"a result that isn't", &pb.TxnRequest{Compare: []*pb.Compare{odd}, Success: ops(get("t1", ""))}},
		{"a target that isn't", &pb.TxnRequest{Compare: []*pb.Compare{none}, Success: ops(get("t1", ""))}},
		{"no key to compare", &pb.TxnRequest{Compare: []*pb.Compare{nokey}}},
		{"nothing at all", &pb.TxnRequest{}}, {"an empty operation", then(nil)},
		{"reads alone", then(get("t1", ""), get("t2", ""))}, {"reads of the past", then(at(2), put("t9", "x"))},
		{"reads of the future", then(at(99999), put("t9", "x"))},
		{"the future in the branch not taken", nested(yes, ops(get("t1", "")), ops(at(99999)))},
		{"its own write", then(put("t3", "1"), get("t3", ""), erase("t3", ""), get("t3", ""))},
		{"one key twice", then(put("t3", "1"), put("t3", "2"))},
		{"put and deleted", then(put("t3", "1"), erase("t", "u"))},
		{"deleted and put", then(erase("t", "u"), put("t3", "1"))},
		{"deleted twice", then(erase("t9", "u"), erase("t9", ""))},
		{"twice, in two branches", nested(yes, ops(put("t4", "1")), ops(put("t4", "2")))},
		{"too many", then(many...)}, {"just not too many", then(many[:128]...)},
		{"nested too many", then(append([]any{then(deep...)}, deep[:60]...)...)},
		{"nested, taken", nested(yes, ops(nested(yes, ops(put("t5", "in")), nil), put("t6", "out")), nil)},
		{"nested, not taken", nested(yes, ops(nested(no, ops(put("t5", "x")), ops(get("t5", ""))), get("t6", "")), nil)},
		{"nested one key twice", then(then(put("t7", "1")), put("t7", "2"))},
		{"nested in both branches", then(nested(yes, ops(put("t7", "1")), ops(put("t7", "2"))))},
		{"a bad put inside", then(put("t8", "1"), put("", "2"))},
		{"a lease that isn't inside", then(put("t8", "1"), &pb.PutRequest{Key: []byte("t9"), Lease: 5})},
		{"nothing of it was done", get("t8", "")},
		{"a large one", then(put("large", strings.Repeat("x", 1600*1024)))},
		{"deleted inside, with what was", then(&pb.DeleteRangeRequest{Key: []byte("t1"), PrevKv: true})},
		{"all", get("\x00", "\x00")},
	}...)
}

func compactions() []call {
	c := func(revision int64) *pb.CompactionRequest {
		return &pb.CompactionRequest{Revision: revision, Physical: true}
	}
	at := func(revision int64) *pb.RangeRequest { r := get("\x00", "\x00"); r.Revision = revision; return r }
	return []call{{"fill", put("a", "1")}, {"fill", put("a", "2")}, {"fill", put("b", "1")}, {"fill", erase("a", "")},
		{"fill", put("a", "3")}, {"to the future", c(99)}, {"to 4", c(4)}, {"to 4 again", c(4)}, {"back", c(3)},
		{"to nothing", c(0)}, {"to less", c(-1)}, {"at 3", at(3)}, {"at 4", at(4)}, {"at 5", at(5)}, {"now", at(0)},
		{"to the newest", c(6)}, {"at 5 then", at(5)}, {"at 6", at(6)}, {"hash of the past", &pb.HashKVRequest{Revision: 5}},
		{"hash of the future", &pb.HashKVRequest{Revision: 50}}, {"hash", &pb.HashKVRequest{}},
		{"writes go on", put("a", "4")}, {"read at the newest", at(7)},
		{"in a transaction", then(at(5))}}
}

func leases() []call {
	grant := func(id, ttl int64) *pb.LeaseGrantRequest { return &pb.LeaseGrantRequest{ID: id, TTL: ttl} }
	left := func(id int64) *pb.LeaseTimeToLiveRequest { return &pb.LeaseTimeToLiveRequest{ID: id, Keys: true} }
	of := func(key string, id int64) *pb.PutRequest { return &pb.PutRequest{Key: []byte(key), Lease: id} }
	return []call{{"grant", grant(7, 600)}, {"grant again", grant(7, 600)}, {"no time", grant(8, 0)},
		{"less", grant(9, -5)}, {"too long", grant(10, 9_000_000_001)}, {"just not too long", grant(11, 9_000_000_000)},
		{"keys", of("l2", 7)}, {"keys", of("l1", 7)}, {"left", left(7)}, {"left of none", left(99)},
		{"without keys", &pb.LeaseTimeToLiveRequest{ID: 7}}, {"read", get("l", "m")},
		{"moved", of("l1", 11)}, {"left then", left(7)}, {"and of the other", left(11)},
		{"taken away", put("l1", "x")}, {"left of the other then", left(11)},
		{"kept alive", &pb.LeaseKeepAliveRequest{ID: 7}}, {"kept alive, none", &pb.LeaseKeepAliveRequest{ID: 99}},
		{"deleted", erase("l2", "")}, {"nothing left", left(7)}, {"one more", of("l3", 7)},
		{"compare", &pb.TxnRequest{Compare: []*pb.Compare{compare("l3", "", pb.Compare_LEASE, pb.Compare_EQUAL, 7, "")}}},
		{"revoke", &pb.LeaseRevokeRequest{ID: 7}}, {"revoke again", &pb.LeaseRevokeRequest{ID: 7}}, {"read after", get("l", "m")},
		{"revoke none", &pb.LeaseRevokeRequest{ID: 0}}, {"left of a revoked one", left(7)},
		{"the same again", grant(7, 60)}, {"left of that", left(7)}, {"all", get("\x00", "\x00")}}
}

func maintenance() []call {
	alarm := func(action pb.AlarmRequest_AlarmAction, alarm pb.AlarmType) *pb.AlarmRequest {
		return &pb.AlarmRequest{Action: action, Alarm: alarm}
	}
	return []call{{"no alarms", alarm(pb.AlarmRequest_GET, pb.AlarmType_NONE)},
		{"end one that isn't", alarm(pb.AlarmRequest_DEACTIVATE, pb.AlarmType_NOSPACE)},
		{"fill", put("a", "1")}, {"full", alarm(pb.AlarmRequest_ACTIVATE, pb.AlarmType_NOSPACE)},
		{"alarms", alarm(pb.AlarmRequest_GET, pb.AlarmType_NONE)},
		{"other alarms", alarm(pb.AlarmRequest_GET, pb.AlarmType_CORRUPT)},
		{"put", put("a", "2")}, {"put in a transaction", then(put("a", "2"))}, {"grant", &pb.LeaseGrantRequest{ID: 5, TTL: 60}},
		{"read", get("a", "")}, {"delete", erase("a", "")}, {"read in a transaction", then(get("a", ""))},
		{"delete in a transaction", then(erase("a", ""))}, {"compact", &pb.CompactionRequest{Revision: 2}},
		{"end it", alarm(pb.AlarmRequest_DEACTIVATE, pb.AlarmType_NOSPACE)}, {"put then", put("a", "3")},
		{"defragment", &pb.DefragmentRequest{}}, {"read then", get("a", "")}, {"put after", put("b", "3")},
		{"a password", &pb.AuthenticateRequest{Name: "a", Password: "b"}}}
}

// Every answer is that of etcd 3.6, header, order, counts and error texts included.
func TestEveryAnswerIsEtcds(t *testing.T) {
	for area, calls := range map[string][]call{"put": puts(), "range": append(puts(), ranges()...), "delete": deletes(),
		"txn": txns(), "compact": compactions(), "lease": leases(), "maintenance": maintenance()} {
		t.Run(area, func(t *testing.T) {
			answers := map[string][]string{}
			for _, name := range rig.Backends(t) {
				conn := rig.StartBackend(t, name).Client(t).ActiveConnection()
				for _, one := range calls {
					if why, excused := etcd34[area+"/"+one.name]; name == "etcd-3.4" && excused && why == "" {
						answers[name] = append(answers[name], "")
						continue
					}
					ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
					answers[name] = append(answers[name], ask(ctx, conn, one.request))
					cancel()
				}
			}
			different := 0
			for i, one := range calls {
				want := answers["etcd-3.6"][i]
				for _, name := range rig.Backends(t) {
					got := answers[name][i]
					excuses := map[string]map[string]string{"etcd-3.4": etcd34, "strata-storage": ours}[name]
					if _, excused := excuses[area+"/"+one.name]; excused != (got == want) {
						continue
					}
					if different++; different < 20 {
						t.Errorf("%s: %s: %.400s\n   etcd 3.6: %.400s", name, one.name, got, want)
					}
				}
			}
			t.Logf("%d calls", len(calls))
		})
	}
}

// What the services of an etcd have and ours don't, by the beginning of the method's path.
var unserved = []string{"/etcdserverpb.Auth/", "/etcdserverpb.Cluster/Member", "/etcdserverpb.Maintenance/MoveLeader",
	"/etcdserverpb.Maintenance/Downgrade", "/v3lockpb.Lock/", "/v3electionpb.Election/"}
var servedAmongThem = []string{"/etcdserverpb.Auth/AuthStatus", "/etcdserverpb.Auth/Authenticate",
	"/etcdserverpb.Cluster/MemberList"}

// Every method of etcd 3.6's services is served, or says in a line why it isn't.
func TestEveryMethodIsServedOrSaysWhyNot(t *testing.T) {
	etcd := grpc.NewServer()
	pb.RegisterKVServer(etcd, nil)
	pb.RegisterWatchServer(etcd, nil)
	pb.RegisterLeaseServer(etcd, nil)
	pb.RegisterClusterServer(etcd, nil)
	pb.RegisterMaintenanceServer(etcd, nil)
	pb.RegisterAuthServer(etcd, nil)
	v3lockpb.RegisterLockServer(etcd, nil)
	v3electionpb.RegisterElectionServer(etcd, nil)
	conn := rig.StartBackend(t, "strata-storage").Client(t).ActiveConnection()
	for service, info := range etcd.GetServiceInfo() {
		for _, method := range info.Methods {
			path := "/" + service + "/" + method.Name
			err := send(t, conn, path)
			ours := !slices.ContainsFunc(unserved, func(one string) bool { return strings.HasPrefix(path, one) }) ||
				slices.Contains(servedAmongThem, path)
			why := status.Convert(err).Message()
			switch {
			case ours == (status.Code(err) == codes.Unimplemented):
				t.Errorf("%s: %v", path, err)
			case !ours && (!strings.HasPrefix(why, "etcdserver: ") || strings.Contains(why, "\n")):
				t.Errorf("%s: it says %q", path, why)
			}
		}
	}
}

// send calls any method with an empty message, and gives the error that comes before the first answer.
func send(t *testing.T, conn *grpc.ClientConn, path string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	if err != nil {
		t.Fatal(err)
	}
	// An end that comes first is told by RecvMsg.
	_ = stream.SendMsg(&pb.SnapshotRequest{})
	_ = stream.CloseSend()
	return stream.RecvMsg(&pb.SnapshotRequest{})
}

// What speaks gRPC's own health protocol, a kubelet or a load balancer, finds it at ours as at an etcd.
func TestHealthIsToldAsEtcdTellsIt(t *testing.T) {
	told := map[string]string{}
	for _, name := range rig.Backends(t) {
		conn := rig.StartBackend(t, name).Client(t).ActiveConnection()
		for _, service := range []string{"", "etcdserverpb.KV"} {
			ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
			answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
			cancel()
			told[name] += fmt.Sprintf("%q: %s %s; ", service, answer.GetStatus(), status.Code(err))
		}
	}
	for name, one := range told {
		if one != told["etcd-3.6"] {
			t.Errorf("%s: %s, etcd 3.6: %s", name, one, told["etcd-3.6"])
		}
	}
}
