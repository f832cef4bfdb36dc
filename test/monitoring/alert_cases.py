"""When each alert fires, and when it doesn't: promtool's unit tests, as a table.

A case is a name, series in promtool's notation at 30 s each, a time, the alert that is asked for, and the descriptions that
fire then, by severity.
"""

SERVER = 'job="strata-apiserver",instance="a"'
STORE = 'job="strata-etcd",instance="s"'
QUIET = {}


def up(value):
    return {f"up{{{SERVER}}}": value}


def check(name, type_, value):
    return {f'kubernetes_healthcheck{{{SERVER},name="{name}",type="{type_}"}}': value}


def server(metric, value, more=""):
    return {f"{metric}{{{SERVER}{more}}}": value}


def store(metric, value, more=""):
    return {f"{metric}{{{STORE}{more}}}": value}


def used_of(used, quota):
    return {
        **store("etcd_mvcc_db_total_size_in_use_in_bytes", f"{used}x60"),
        **store("etcd_server_quota_backend_bytes", f"{quota}x60"),
    }


def backup(metric, value):
    """As kube-state-metrics tells of the CronJob."""
    return {f'kube_cronjob_{metric}{{cronjob="strata-backup",namespace="strata"}}': f"{value}x3200"}


def waits(fast, slow):
    """Requests in 30 seconds that waited up to 10 ms, and up to 100 ms."""
    bucket = "strata_freshness_wait_seconds_bucket"
    return {
        **server(bucket, f"0+{fast}x60", ',le="0.01"'),
        **server(bucket, f"0+{fast}x60", ',le="0.05"'),
        **server(bucket, f"0+{fast + slow}x60", ',le="0.1"'),
        **server(bucket, f"0+{fast + slow}x60", ',le="+Inf"'),
    }


DAY = 24 * 3600
DOWN = "Prometheus has no strata-apiserver that it can scrape. The APIServices that name it may be unavailable."
NOT_READY = "Check etcd of /readyz fails at a: no request is sent there."
FAILING = "Reads of the backend's revision fail at a; requests that wait for them get 504."
SERVING, ETCD = (f"strata_{name}_certificate_expiration_timestamp_seconds" for name in ("serving", "etcd_client"))

CASES = [
    ("none is there", {}, "6m", "StrataDown", {"critical": DOWN}),
    ("the only one can't be scraped", up("0x60"), "6m", "StrataDown", {"critical": DOWN}),
    ("one is up", up("1x60"), "6m", "StrataDown", QUIET),
    ("it restarts", up("1x4 0x4 1x60"), "10m", "StrataDown", QUIET),
    ("a check fails", check("etcd", "readyz", "0x60"), "6m", "StrataNotReady", {"critical": NOT_READY}),
    ("it has drained", check("shutdown", "readyz", "1x4 0x2 1x60"), "6m", "StrataNotReady", QUIET),
    ("what fails is not asked for readiness", check("etcd", "livez", "0x60"), "6m", "StrataNotReady", QUIET),
    ("it breaks every two minutes", server("strata_watch_breaks_total", "0+1x3 3+0x3 4+1x120"), "40m",
     "StrataWatchBroken", {"warning": "60 times in half an hour at a."}),
    ("three members of an etcd restart", server("strata_watch_breaks_total", "0x10 1x4 2x4 3x60"), "35m",
     "StrataWatchBroken", QUIET),
    ("it lists again and again", server("strata_relists_total", "0+1x120", ',reason="broken"'), "40m",
     "StrataRelisting", {"warning": "60 times in half an hour at a. Requests wait meanwhile."}),
    ("it lists once", server("strata_relists_total", "0x10 1x110", ',reason="broken"'), "40m", "StrataRelisting", QUIET),
    ("it starts again and again", server("strata_relists_total", "0+1x120", ',reason="start"'), "40m",
     "StrataRelisting", QUIET),
    ("reads fail", server("strata_freshness_read_errors_total", "0+2x60"), "10m", "StrataFreshnessFailing",
     {"critical": FAILING}),
    ("some reads have failed", server("strata_freshness_read_errors_total", "0x4 5x60"), "8m",
     "StrataFreshnessFailing", QUIET),
    ("two in a hundred are slow", waits(98, 2), "20m", "StrataFreshnessSlow",
     {"warning": "One in a hundred waits 75ms or longer at a."}),
    ("one in a thousand is slow", waits(999, 1), "20m", "StrataFreshnessSlow", QUIET),
    ("a record is unreadable", server("strata_unreadable_records", "1x60", ',resource="images"'), "20m",
     "StrataUnreadableRecords", {"warning": "1 images at a."}),
    ("all can be read", server("strata_unreadable_records", "0x60", ',resource="images"'), "20m",
     "StrataUnreadableRecords", QUIET),
    ("its disk stays full", server("strata_replica_ready", "0x60"), "20m", "StrataReplicaNotReady",
     {"critical": "At a; layers are served on."}),
    ("it lists all anew", server("strata_replica_ready", "1x4 0x20 1x60"), "20m", "StrataReplicaNotReady", QUIET),
    ("the limit is reached", server("strata_connections_rejected_total", "0+30x60", ',reason="limit"'), "20m",
     "StrataRejectsConnections", {"warning": "1 in a second at a, for limit."}),
    ("a client is cut now and then", server("strata_connections_rejected_total", "0+1x60", ',reason="write_timeout"'),
     "20m", "StrataRejectsConnections", QUIET),
    ("memory stays short", server("strata_memory_pressure", "0x2 1x60"), "10m", "StrataMemoryShort",
     {"warning": "At a."}),
    ("memory is short for a moment", server("strata_memory_pressure", "0x2 1x3 0x60"), "10m", "StrataMemoryShort", QUIET),
    ("events are lost", server("apiserver_audit_error_total", "0+10x60", ',plugin="log"'), "20m",
     "StrataAuditDropping", {"warning": "300 in a quarter of an hour at a."}),
    ("none is lost", server("apiserver_audit_error_total", "7x60", ',plugin="log"'), "20m", "StrataAuditDropping", QUIET),
    ("it ends in a week", server(SERVING, f"{7 * DAY}x60"), "20m", "StrataServingCertificateEnds",
     {"warning": "The serving certificate of a ends in 6d 23h 40m 0s."}),
    ("it ends in a day", server(SERVING, f"{DAY}x60"), "20m", "StrataServingCertificateEnds",
     {severity: "The serving certificate of a ends in 23h 40m 0s." for severity in ("warning", "critical")}),
    ("it lasts", server(SERVING, f"{60 * DAY}x60"), "20m", "StrataServingCertificateEnds", QUIET),
    ("it ends in a day", server(ETCD, f"{DAY}x60"), "20m", "StrataEtcdCertificateEnds",
     {severity: "The client certificate for etcd of a ends in 23h 40m 0s." for severity in ("warning", "critical")}),
    ("it lasts", server(ETCD, f"{60 * DAY}x60"), "20m", "StrataEtcdCertificateEnds", QUIET),
    ("it is away", store("up", "1x10 0x60"), "9m", "StrataStoreDown", {"critical": "Prometheus cannot scrape s."}),
    ("it restarts", store("up", "1x10 0x4 1x60"), "9m", "StrataStoreDown", QUIET),
    ("it is full", store("strata_store_alarm", "1x60", ',alarm="NOSPACE"'), "2m", "StrataStoreAlarm",
     {"critical": "NOSPACE at s."}),
    ("a server's own store is damaged", server("strata_store_alarm", "1x60", ',alarm="CORRUPT"'), "2m", "StrataStoreAlarm",
     {"critical": "CORRUPT at a."}),
    ("no alarm", store("strata_store_alarm", "0x60", ',alarm="NOSPACE"'), "2m", "StrataStoreAlarm", QUIET),
    ("nine tenths are used", used_of(90, 100), "15m", "StrataStoreNearlyFull",
     {"warning": "90% of it are used at s; at all of it writes are refused."}),
    ("half is used", used_of(50, 100), "15m", "StrataStoreNearlyFull", QUIET),
    ("there is no quota", used_of(90, 0), "15m", "StrataStoreNearlyFull", QUIET),
    ("the file lags behind", store("strata_store_wal_pending_bytes", f"{48 << 20}x60"), "15m", "StrataStoreWalBehind",
     {"warning": "48MiB at s; at 64 MiB writes wait."}),
    ("it catches up", store("strata_store_wal_pending_bytes", f"{48 << 20}x4 0x60"), "15m", "StrataStoreWalBehind", QUIET),
    ("the last snapshot is old", {**backup("created", "0"), **backup("status_last_successful_time", "3600")}, "26h",
     "StrataBackupMissing", {"warning": "The last one of CronJob strata-backup, or itself where there is none, is 1d 1h 0m 0s old."}),
    ("there never was one", backup("created", "0"), "25h", "StrataBackupMissing",
     {"warning": "The last one of CronJob strata-backup, or itself where there is none, is 1d 1h 0m 0s old."}),
    ("it is new", {**backup("created", "0"), **backup("status_last_successful_time", f"{22 * 3600}")}, "26h",
     "StrataBackupMissing", QUIET),
]
