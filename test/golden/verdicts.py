"""What a run says: of each case "equal", "deviates", "skipped" or "failed", and why or what differs."""

import collections


def report(verdicts, least_equal):
    by_verdict = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, (verdict, why) in verdicts.items():
        by_verdict[verdict][why].append(name)
    for why, names in by_verdict["failed"].items():
        print(f"FAILED {', '.join(names)}\n  " + why.replace("\n", "\n  "))
    count = {verdict: sum(map(len, groups.values())) for verdict, groups in by_verdict.items()}
    for verdict, title in (("equal", "equal"), ("deviates", "differs on purpose"), ("skipped", "not comparable"),
                           ("failed", "failed")):
        print(f"{title:20} {count.get(verdict, 0):4}")
        if verdict != "failed":
            for why, names in by_verdict[verdict].items():
                if why:
                    print(f"    {len(names):3}  {why}: {', '.join(names)}")
    if count.get("failed", 0) or count.get("equal", 0) < least_equal:
        print(f"FAILED: {count.get('failed', 0)} differ, {count.get('equal', 0)} of at least {least_equal} are equal")
        return 1
    return 0
