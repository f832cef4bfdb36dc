package kubectl_layers

import (
	"context"
	"image"
	"image/color"
	_ "image/png"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The colours of page.css.
var (
	own    = color.NRGBA{0x2f, 0x6f, 0xbf, 0xff}
	shared = color.NRGBA{0xd3, 0xa1, 0x3b, 0xff}
	kept   = color.NRGBA{0x8c, 0x95, 0x9f, 0xff}
	added  = color.NRGBA{0x2c, 0x8a, 0x4b, 0xff}
)

// A browser shows the pages: as much of each colour as there are bytes of its kind, and nothing to complain about.
func TestPagesShowBytesInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		t.Fatal("chromium-headless-shell is needed; ./dev test installs it")
	}
	s := startServer(t, store(t, "../../deploy/samples", "records.yaml"))
	kubeconfig := s.direct()
	// STRATA_SCREENSHOTS keeps the pictures, for people to look at.
	folder := os.Getenv("STRATA_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	for _, c := range []struct {
		name, args string
		a, b       color.NRGBA
		ratio      float64 // of the bytes that a shows to those of b
		code       int
	}{
		// Layers that several images have 155571741, one's own 14553308.
		{"tree", "tree nodejs --history", shared, own, 155571741.0 / 14553310, 0},
		// By namespace: what both have, and each one's own.
		{"top", "top -A --by=namespace", shared, own, 2 * 155571741.0 / (153247723 + 5120777 + 95300000 + 200), 0},
		{"diff", "diff nodejs:20 shop/frontend:v1", kept, added, 155571741.0 / 5120777, 1},
	} {
		page, picture := folder+"/"+c.name+".html", folder+"/"+c.name+".png"
		if got := inPipe(t, kubeconfig, append(strings.Fields(c.args), "--html="+page)...); got.code != c.code || got.stdout != "" {
			t.Fatalf("%s: exit code %d\n%s%s", c.args, got.code, got.stdout, got.stderr)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		show := exec.CommandContext(ctx, browser, "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr", "--hide-scrollbars",
			"--user-data-dir="+t.TempDir(), "--window-size=1280,1100", "--screenshot="+picture, "file://"+page)
		said, err := show.CombinedOutput()
		if err != nil || strings.Contains(string(said), "CONSOLE") {
			t.Fatalf("%s: %v\n%s", c.name, err, said)
		}
		counts := countColours(t, picture)
		ratio := float64(counts[c.a]) / float64(counts[c.b])
		// Borders and labels take from small boxes.
		if counts[c.b] < 1000 || math.Abs(math.Log(ratio/c.ratio)) > math.Log(1.25) {
			t.Errorf("%s: %d and %d pixels, a ratio of %.2f; that of the bytes is %.2f", c.name, counts[c.a], counts[c.b], ratio, c.ratio)
		}
	}
}

func countColours(t *testing.T, path string) map[color.NRGBA]int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.NRGBA]int{}
	bounds := picture.Bounds()
	// The legend above the map, and the table below it, hold nothing of these colours but a few labels.
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)]++
		}
	}
	return counts
}
