#include "server/auth/rbac.h"

namespace strata::auth {

// Kubernetes: plugin/pkg/auth/authorizer/rbac/bootstrappolicy. OpenShift: openshift-apiserver
// pkg/bootstrappolicy/policy.go, the rules that name imagestreams/layers, in both of its groups.
// Our own: deploy/base/layers.yaml.
std::string_view BuiltinRoles() {
  return R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cluster-admin}
rules:
- {apiGroups: ['*'], resources: ['*'], verbs: ['*']}
- {nonResourceURLs: ['*'], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cluster-admin}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:masters'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:discovery'}
rules:
- nonResourceURLs: [/api, '/api/*', /apis, '/apis/*', /healthz, /livez, /openapi, '/openapi/*', /readyz, /version, /version/]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'system:discovery'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:discovery'}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:authenticated'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:public-info-viewer'}
rules:
- {nonResourceURLs: [/healthz, /livez, /readyz, /version, /version/], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'system:public-info-viewer'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:public-info-viewer'}
subjects:
- {kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:authenticated'}
- {kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:unauthenticated'}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:monitoring'}
rules:
- {nonResourceURLs: [/healthz, '/healthz/*', /livez, '/livez/*', /metrics, /readyz, '/readyz/*'], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'system:monitoring'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:monitoring'}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:monitoring'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-puller'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-pusher'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-builder'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get, update]}
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-signer'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [images, imagestreams/layers], verbs: [get]}
- {apiGroups: [image.openshift.io, ''], resources: [imagesignatures], verbs: [create, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:registry'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers, imagestreamimages, imagestreams/secrets], verbs: [get]}
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams], verbs: [get, update]}
- {apiGroups: [image.openshift.io, ''], resources: [imagestreamtags], verbs: [delete]}
- {apiGroups: [image.openshift.io, ''], resources: [images], verbs: [get, update, create]}
- {apiGroups: [image.openshift.io, ''], resources: [imagestreammappings], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: registry-viewer}
rules:
- apiGroups: [image.openshift.io, '']
  resources: [imagestreamimages, imagestreammappings, imagestreams, imagestreamtags, imagetags]
  verbs: [get, list, watch]
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: registry-editor}
rules:
- apiGroups: [image.openshift.io, '']
  resources: [imagestreamimages, imagestreammappings, imagestreams, imagestreams/secrets, imagestreamtags, imagetags]
  verbs: [create, delete, deletecollection, get, list, patch, update, watch]
- {apiGroups: [image.openshift.io, ''], resources: [imagestreamimports], verbs: [create]}
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: registry-admin}
rules:
- apiGroups: [image.openshift.io, '']
  resources: [imagestreamimages, imagestreammappings, imagestreams, imagestreams/secrets, imagestreamtags, imagetags]
  verbs: [create, delete, deletecollection, get, list, patch, update, watch]
- {apiGroups: [image.openshift.io, ''], resources: [imagestreamimports], verbs: [create]}
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: 'system:openshift:aggregate-to-admin'
  labels: {rbac.authorization.k8s.io/aggregate-to-admin: 'true'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: 'system:openshift:aggregate-to-edit'
  labels: {rbac.authorization.k8s.io/aggregate-to-edit: 'true'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: 'system:openshift:aggregate-to-cluster-reader'
  labels: {rbac.authorization.k8s.io/aggregate-to-cluster-reader: 'true'}
rules:
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: 'strata:layers:aggregate-to-view'
  labels: {rbac.authorization.k8s.io/aggregate-to-view: 'true'}
rules:
- {apiGroups: [layers.strata.dev], resources: [imagestreamlayers, layerusages], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'strata:layers:by-digest'}
rules:
- {apiGroups: [layers.strata.dev], resources: [imagelayers, blobs], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'strata:layers:by-digest'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'strata:layers:by-digest'}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:authenticated'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: 'strata:layers:aggregate-to-cluster-reader'
  labels: {rbac.authorization.k8s.io/aggregate-to-cluster-reader: 'true'}
rules:
- apiGroups: [layers.strata.dev]
  resources: [imagestreamlayers, imagelayers, blobs, layerusages]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: shared-resource-viewer, namespace: openshift}
rules:
- apiGroups: [image.openshift.io, '']
  resources: [imagestreamimages, imagestreams, imagestreamtags, imagetags]
  verbs: [get, list, watch]
- {apiGroups: [image.openshift.io, ''], resources: [imagestreams/layers], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shared-resource-viewers, namespace: openshift}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: shared-resource-viewer}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:authenticated'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: admin}
aggregationRule:
  clusterRoleSelectors: [{matchLabels: {rbac.authorization.k8s.io/aggregate-to-admin: 'true'}}]
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: edit}
aggregationRule:
  clusterRoleSelectors: [{matchLabels: {rbac.authorization.k8s.io/aggregate-to-edit: 'true'}}]
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: view}
aggregationRule:
  clusterRoleSelectors: [{matchLabels: {rbac.authorization.k8s.io/aggregate-to-view: 'true'}}]
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cluster-reader}
aggregationRule:
  clusterRoleSelectors: [{matchLabels: {rbac.authorization.k8s.io/aggregate-to-cluster-reader: 'true'}}]
rules: []
)";
}

}  // namespace strata::auth
