// Reads an image stream's layers with the JavaScript client: node read_layers.mjs KUBECONFIG NAMESPACE NAME
import {CustomObjectsApi, ApisApi, KubeConfig} from '@kubernetes/client-node';

const [kubeconfig, namespace, name] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);

const groups = await config.makeApiClient(ApisApi).getAPIVersions();
if (!groups.groups.some((group) => group.name === 'image.openshift.io')) throw new Error('the group is not discovered');

// The client has no call of its own for another group's subresource; `status` shows the shape, and any plural is sent as
// it is.
const objects = config.makeApiClient(CustomObjectsApi);
const layers = await objects.getNamespacedCustomObject(
    {group: 'image.openshift.io', version: 'v1', namespace, plural: 'imagestreams', name: `${name}/layers`});
console.log(JSON.stringify(layers));
