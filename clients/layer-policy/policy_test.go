package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestImagesAreThoseOfAllContainersAndVolumes(t *testing.T) {
	text, err := json.Marshal(&corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Image: "init"}},
		Containers:     []corev1.Container{{Image: "first"}, {Image: "second"}, {Image: "init"}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: "ephemeral"}}},
		Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "volume"}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := imagesOf(text)
	if want := []string{"init", "first", "second", "ephemeral", "volume"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// reviewOf asks for a pod with the text as its containers.
func reviewOf(containers string) string {
	return `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "object": ` +
		`{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [` + containers + `]}}}}`
}

// updateOf asks that a pod with the containers becomes one with others.
func updateOf(before, after string) string {
	of := func(containers string) string { return `{"spec": {"containers": [` + containers + `]}}` }
	return `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", ` +
		`"operation": "UPDATE", "oldObject": ` + of(before) + `, "object": ` + of(after) + `}}`
}

// running are containers with an image each.
func running(images ...string) string {
	var containers []string
	for _, image := range images {
		containers = append(containers, fmt.Sprintf(`{"image": %q}`, image))
	}
	return strings.Join(containers, ",")
}

func post(handler http.Handler, body string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/validate-pods", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(recorder, request)
	return recorder
}

// review is whether the pod is allowed, and what is said.
func review(t *testing.T, handler http.Handler, containers string) (bool, string) {
	t.Helper()
	return answerTo(t, handler, reviewOf(containers))
}

func answerTo(t *testing.T, handler http.Handler, body string) (bool, string) {
	t.Helper()
	recorder := post(handler, body)
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil || got.Response == nil || got.Response.UID != "u" {
		t.Fatalf("%v: %d %s", err, recorder.Code, recorder.Body)
	}
	return got.Response.Allowed, got.Response.Result.Message
}

func TestPodsAreReviewedAsTheRulesDecide(t *testing.T) {
	rules, _ := testRules(t)
	app := testRegistry + "/shop/app@"
	for said, images := range map[string][]string{
		"": {app + digest("1"), "elsewhere/a:b"},
		"image " + app + digest("2") + " contains the denied layer " + digest("d"): {app + digest("1"), app + digest("2")},
		app + digest("4") + ": " + errUnknowable.Error():                           {app + digest("4")},
	} {
		if allowed, got := review(t, newWebhook(rules, 2, 1, time.Minute), running(images...)); allowed != (said == "") || got != said {
			t.Errorf("%q: allowed %v, said %q", images, allowed, got)
		}
	}
}

func TestAnUpdateIsRefusedForWhatItBringsAlone(t *testing.T) {
	rules, cluster := testRules(t)
	app := testRegistry + "/shop/app@"
	good, denied, unknowable := app+digest("1"), app+digest("2"), app+digest("4")
	webhook := newWebhook(rules, 2, 1, time.Minute)
	for name, before := range map[string]string{
		"a denied image": running(denied, good), "one that can't be looked at": running(unknowable),
		"too many": running("a", "b", "c"),
	} {
		cluster.asked = nil
		if allowed, said := answerTo(t, webhook, updateOf(before, before)); !allowed || len(cluster.asked) != 0 {
			t.Errorf("%s, as before: allowed %v, said %q, asked %q", name, allowed, said, cluster.asked)
		}
	}
	if allowed, said := answerTo(t, webhook, updateOf(running(denied, denied), running(good, denied))); !allowed {
		t.Errorf("one of two denied images goes: %s", said)
	}
	if allowed, said := answerTo(t, webhook, updateOf(running(good), running(good, denied))); allowed ||
		said != "image "+denied+" contains the denied layer "+digest("d") {
		t.Errorf("a denied image comes: allowed %v, said %q", allowed, said)
	}
}

func TestAPodOfTooManyImagesIsRefusedUnasked(t *testing.T) {
	rules, cluster := testRules(t)
	webhook := newWebhook(rules, 2, 1, time.Minute)
	good := testRegistry + "/shop/app@" + digest("1")
	if allowed, said := review(t, webhook, running(good, good, good, "b")); !allowed {
		t.Errorf("two images, one of them in three containers: %s", said)
	}
	cluster.asked = nil
	if allowed, said := review(t, webhook, running(good, "b", "c")); allowed || said != "3 images: at most 2 are looked at" {
		t.Errorf("allowed %v, said %q", allowed, said)
	}
	if len(cluster.asked) != 0 {
		t.Errorf("the cluster was asked: %q", cluster.asked)
	}
}

func TestAReviewEndsWithItsDeadline(t *testing.T) {
	rules, _ := testRules(t)
	late := running(testRegistry + "/shop/late@" + digest("1"))
	if allowed, said := review(t, newWebhook(rules, 1, 1, time.Second), late); allowed || !strings.Contains(said, "deadline") {
		t.Errorf("the cluster is late: allowed %v, said %q", allowed, said)
	}

	webhook := newWebhook(rules, 1, 1, 50*time.Millisecond)
	webhook.turns <- struct{}{}
	if got := post(webhook, reviewOf("")); got.Code != http.StatusServiceUnavailable ||
		!strings.Contains(got.Body.String(), "too many requests") {
		t.Errorf("without a turn: got %d %s", got.Code, got.Body)
	}
}

func TestAReviewTakesLittleMemory(t *testing.T) {
	rules, _ := testRules(t)
	webhook := newWebhook(rules, 1, 1, time.Minute)
	if got := post(webhook, strings.Repeat(" ", maxReviewBytes+1)); got.Code != http.StatusRequestEntityTooLarge ||
		!strings.Contains(got.Body.String(), "more than 3145728 bytes") {
		t.Errorf("too many bytes: got %d %s", got.Code, got.Body)
	}
	containers := strings.TrimSuffix(strings.Repeat("{},", maxReviewBytes/4), ",")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	review(t, webhook, containers)
	runtime.ReadMemStats(&after)
	// A container has 256 MiB.
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 200 {
		t.Errorf("a pod of empty containers: %d MiB", took)
	}
}
