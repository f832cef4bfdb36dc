// Follows streams and images with the JavaScript client's informers, and writes what they tell, and at the end of its
// standard input what they hold, as lines of JSON (strata/test/history, Entry): node watch.mjs KUBECONFIG
import {CustomObjectsApi, KubeConfig, makeInformer} from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromFile(process.argv[2]);
const api = config.makeApiClient(CustomObjectsApi);
const group = {group: 'image.openshift.io', version: 'v1'};

function keyOf(meta) { return meta.namespace ? `${meta.namespace}/${meta.name}` : meta.name; }

function write(op, resource, object) {
  const meta = object.metadata;
  console.log(JSON.stringify({
    client: 'JavaScript', op, resource, key: keyOf(meta), revision: meta.resourceVersion,
    mark: meta.annotations?.['strata.test/mark'] ?? '0',
  }));
}

function follow(resource) {
  const known = new Map();  // revisions, by keys
  const informer = makeInformer(
      config, `/apis/${group.group}/${group.version}/${resource}`,
      () => api.listClusterCustomObject({...group, plural: resource}));
  for (const op of ['add', 'update']) {
    informer.on(op, (object) => {
      known.set(keyOf(object.metadata), object.metadata.resourceVersion);
      write(op, resource, object);
    });
  }
  informer.on('delete', (object) => {
    // What a list no longer has comes with its last content, and what a watch says to be deleted with a new revision.
    const last = known.get(keyOf(object.metadata)) === object.metadata.resourceVersion;
    write(last ? 'gone' : 'delete', resource, object);
  });
  // As its documentation says: whoever is told an error starts it again.
  informer.on('error', () => setTimeout(() => informer.start(), 500));
  informer.start().catch(() => {});
  return informer;
}

const informers = ['imagestreams', 'images'].map((resource) => [resource, follow(resource)]);
process.stdin.resume();
process.stdin.on('end', () => {
  for (const [resource, informer] of informers) {
    for (const object of informer.list()) write('have', resource, object);
  }
  // What is written to a pipe may not be there yet.
  process.stdout.write('', () => process.exit(0));
});
