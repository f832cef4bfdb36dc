"""Reads an image stream's layers with the Python client: read_layers.py KUBECONFIG NAMESPACE NAME"""

import json
import sys

from kubernetes import client, config, dynamic

kubeconfig, namespace, name = sys.argv[1:]
api = config.new_client_from_config(kubeconfig)

# Models check what they are given: a list without verbs, say, is an error.
resources = client.CustomObjectsApi(api).list_cluster_custom_object("image.openshift.io", "v1", "")["resources"]
assert any(resource["name"] == "imagestreams/layers" for resource in resources), resources
groups = client.ApisApi(api).get_api_versions()
assert any(group.name == "image.openshift.io" for group in groups.groups), groups

# The dynamic client discovers everything first.
streams = dynamic.DynamicClient(api).resources.get(api_version="image.openshift.io/v1", kind="ImageStream")
layers = streams.subresources["layers"].get(name=name, namespace=namespace)
print(json.dumps(layers.to_dict()))
