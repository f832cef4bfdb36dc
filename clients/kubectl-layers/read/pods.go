package read

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// Container of a pod, and the image that it runs: as it was asked for, and as it is.
type Container struct {
	Namespace, Pod, Name string
	Image, ImageID       string
}

// Containers lists those of pods, one of a pod after the other.
func (c *Client) Containers(ctx context.Context, scope Scope) ([]Container, error) {
	var containers []Container
	err := list(ctx, c, scope.query(), func(pod *corev1.Pod) {
		ids := map[string]string{}
		for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for _, status := range statuses {
				ids[status.Name] = status.ImageID
			}
		}
		for _, group := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for _, container := range group {
				containers = append(containers, Container{pod.Namespace, pod.Name, container.Name, container.Image,
					ids[container.Name]})
			}
		}
	}, In("/api/v1", scope.Namespace, "pods"))
	return containers, err
}
