"""What strata-apiserver announces: of the reference's resources those that it serves, each with the verbs that read.

docs/compatibility.md tells the same to people.
"""

from judging import expect

GROUP = "image.openshift.io"
OURS = {"layers.strata.dev"}  # groups that the reference doesn't have
OUR_SCHEMAS = "dev.strata."
SERVED = ("images", "imagestreamimages", "imagestreams", "imagestreams/layers", "imagestreams/secrets",
          "imagestreams/status", "imagestreamtags", "imagetags")


def _reading(recorded):
    return {**recorded, "verbs": [verb for verb in recorded["verbs"] if verb in ("get", "list", "watch")]}


def check_resource_list(problems, recorded, document):
    """An APIResourceList."""
    expect(problems, "all but resources", {**recorded, "resources": 0}, {**document, "resources": 0})
    expected = [_reading(each) for each in recorded["resources"] if each["name"] in SERVED]
    expect(problems, "resources", expected, document["resources"])


def check_aggregated(problems, recorded, document):
    """An APIGroupDiscoveryList."""
    expect(problems, "all but items", {**recorded, "items": 0}, {**document, "items": 0})
    group = next(item for item in recorded["items"] if item["metadata"]["name"] == GROUP)
    (version,) = group["versions"]
    expected = []
    for resource in version["resources"]:
        name = resource["resource"]
        if name not in SERVED:
            continue
        parts = [_reading(part) for part in resource.get("subresources", []) if f"{name}/{part['subresource']}" in SERVED]
        whole = {k: v for k, v in _reading(resource).items() if k != "subresources"}
        expected.append({**whole, "subresources": parts} if parts else whole)
    served = {item["metadata"]["name"]: item for item in document["items"]}
    expect(problems, "groups", {GROUP} | OURS, set(served))
    expect(problems, GROUP, {**group, "versions": [{**version, "resources": expected}]}, served[GROUP])


def check_openapi(problems, recorded, document):
    """Version 2 or 3: the reference's operations, described in our words."""
    paths = {path: item for path, item in document["paths"].items() if not _is_ours(path)}
    expect(problems, "paths that the reference doesn't have", set(), set(paths) - set(recorded["paths"]))
    for path, item in paths.items():
        theirs = recorded["paths"][path]
        expect(problems, f"methods of {path}", {"get"}, set(item) - {"parameters"})
        operation = {k: v for k, v in theirs["get"].items() if k != "parameters"}
        expect(problems, path, operation, item["get"])
        wanted = _parameters(recorded, theirs.get("parameters", []) + theirs["get"].get("parameters", []))
        expect(problems, f"parameters of {path}", wanted, _parameters(document, item.get("parameters", [])))
    schemas = lambda whole: whole.get("definitions") or whole["components"]["schemas"]
    for name, schema in schemas(document).items():
        if name.startswith(OUR_SCHEMAS):
            continue
        expect(problems, f"members of {name}", set(schemas(recorded)[name].get("properties", {})),
               set(schema.get("properties", {})))


def _is_ours(path):
    return any(path.startswith(f"/apis/{group}/") for group in OURS)


def _parameters(document, parameters):
    """By name, without their descriptions."""
    shared = document.get("parameters", {})
    whole = [shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in parameters]
    return {each["name"]: {k: v for k, v in each.items() if k != "description"} for each in whole}
