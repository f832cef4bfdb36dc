package attacks

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"strata/test/rig"
)

// More than any bucket holds.
const endless = 200_000

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// What a connection may do that costs work and does none: each is noticed, ends its connection by GOAWAY, and is
// counted under its name.
func TestFloodsEndTheirConnectionAlone(t *testing.T) {
	s := start(t)
	path := rig.LayersPath("demo", "app")
	request := func(c *h2) uint32 { return c.ask(path, greedyToken) }
	// Six ways to make the server reset a stream while its handler works on (CVE-2025-8671).
	reset := func(primitive func(c *h2, id uint32)) func(c *h2) {
		return func(c *h2) { c.flood(endless, func() { primitive(c, request(c)) }) }
	}
	frames := func(frame func(c *h2)) func(c *h2) {
		return func(c *h2) { c.flood(endless, func() { frame(c) }) }
	}
	for _, attack := range []struct {
		name   string
		attack func(c *h2)
		end    string // with GOAWAY
		reason string // of the metric
	}{
		{"rapid reset", reset(func(c *h2, id uint32) { _ = c.WriteRSTStream(id, http2.ErrCodeCancel) }),
			"ENHANCE_YOUR_CALM", "reset_flood"},
		{"MadeYouReset: a window that overflows", reset(func(c *h2, id uint32) {
			c.raw(http2.FrameWindowUpdate, 0, id, u32(1<<31-1))
		}), "ENHANCE_YOUR_CALM", "reset_flood"},
		{"MadeYouReset: a window that grows by nothing", reset(func(c *h2, id uint32) {
			c.raw(http2.FrameWindowUpdate, 0, id, u32(0))
		}), "PROTOCOL_ERROR", "malformed"},
		{"MadeYouReset: headers behind the end", reset(func(c *h2, id uint32) {
			c.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id, c.head(path, greedyToken))
		}), "STREAM_CLOSED", "malformed"},
		{"MadeYouReset: data behind the end", reset(func(c *h2, id uint32) {
			c.raw(http2.FrameData, 0, id, make([]byte, 100))
		}), "STREAM_CLOSED", "malformed"},
		{"MadeYouReset: a priority of another length", reset(func(c *h2, id uint32) {
			c.raw(http2.FramePriority, 0, id, u32(0))
		}), "FRAME_SIZE_ERROR", "malformed"},
		// Priorities are ignored. What ends it is that its answers aren't read and it has more than 1,000 streams.
		{"MadeYouReset: a stream that depends on itself", reset(func(c *h2, id uint32) {
			c.raw(http2.FramePriority, 0, id, append(u32(id), 16))
		}), "ENHANCE_YOUR_CALM", "reset_flood"},
		{"bodies of other lengths than was said", func(c *h2) {
			c.flood(endless, func() {
				c.raw(http2.FrameData, http2.FlagDataEndStream, c.begin(path, greedyToken, "content-length", "1"), nil)
			})
		}, "ENHANCE_YOUR_CALM", "reset_flood"},

		{"CONTINUATION", func(c *h2) {
			c.raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, c.head(path, greedyToken))
			c.flood(endless, func() { c.raw(http2.FrameContinuation, 0, 1, make([]byte, 0)) })
		}, "ENHANCE_YOUR_CALM", "header_flood"},
		{"CONTINUATION of large headers", func(c *h2) {
			c.raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, c.head(path, greedyToken))
			field := hpack.AppendHuffmanString(nil, strings.Repeat("a", 10))
			c.flood(endless, func() {
				var block []byte
				for len(block) < 16<<10-100 {
					block = append(append(block, 0x40, 0x80|byte(len(field))), field...)
					block = append(append(block, 0x80|byte(len(field))), field...)
				}
				c.raw(http2.FrameContinuation, 0, 1, block)
			})
		}, "ENHANCE_YOUR_CALM", "header_flood"},
		{"an HPACK bomb", func(c *h2) {
			// One field that fills the table, and then again and again by its index.
			block := append([]byte(nil), c.head(path, greedyToken, "bomb", strings.Repeat("x", 3000))...)
			for len(block) < 16<<10 {
				block = append(block, 0x80|62)
			}
			c.flood(endless, func() {
				c.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, c.stream, block)
				c.stream += 2
			})
		}, "ENHANCE_YOUR_CALM", "header_flood"},
		{"headers that can't be decoded", func(c *h2) {
			c.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			c.flush()
		}, "COMPRESSION_ERROR", "malformed"},

		{"SETTINGS", frames(func(c *h2) { _ = c.WriteSettings() }), "ENHANCE_YOUR_CALM", "frame_flood"},
		{"SETTINGS of many entries", frames(func(c *h2) {
			c.raw(http2.FrameSettings, 0, 0, []byte(strings.Repeat("\x00\x01\x00\x00\x00\x00", 30)))
		}), "ENHANCE_YOUR_CALM", "frame_flood"},
		{"SETTINGS that move all windows", func(c *h2) {
			for i := 0; i < 100; i++ {
				request(c)
			}
			size := uint32(0)
			c.flood(endless, func() {
				size = 65535 - size
				_ = c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: size})
			})
		}, "ENHANCE_YOUR_CALM", "frame_flood"},
		{"PING", frames(func(c *h2) { _ = c.WritePing(false, [8]byte{}) }), "ENHANCE_YOUR_CALM", "frame_flood"},
		{"answers to PINGs that nobody sent", frames(func(c *h2) { _ = c.WritePing(true, [8]byte{}) }),
			"ENHANCE_YOUR_CALM", "frame_flood"},
		{"PRIORITY", frames(func(c *h2) { c.raw(http2.FramePriority, 0, c.stream, append(u32(0), 16)); c.stream += 2 }),
			"ENHANCE_YOUR_CALM", "frame_flood"},
		{"unknown frames", frames(func(c *h2) { c.raw(0x99, 0, 0, nil) }), "ENHANCE_YOUR_CALM", "frame_flood"},
		{"empty DATA", func(c *h2) {
			id := c.begin(path, greedyToken)
			c.flood(endless, func() { _ = c.WriteData(id, false, nil) })
		}, "ENHANCE_YOUR_CALM", "frame_flood"},
		{"DATA that is padding", func(c *h2) {
			id := c.begin(path, greedyToken)
			c.flood(endless, func() { c.raw(http2.FrameData, http2.FlagDataPadded, id, []byte{10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) })
		}, "ENHANCE_YOUR_CALM", "frame_flood"},
		{"windows that grow a byte at a time", frames(func(c *h2) { c.raw(http2.FrameWindowUpdate, 0, 0, u32(1)) }),
			"ENHANCE_YOUR_CALM", "frame_flood"},
		{"a connection's window that overflows", func(c *h2) {
			c.raw(http2.FrameWindowUpdate, 0, 0, u32(1<<31-1))
			c.flush()
		}, "FLOW_CONTROL_ERROR", "malformed"},
		{"a connection's window that grows by nothing", func(c *h2) {
			c.raw(http2.FrameWindowUpdate, 0, 0, u32(0))
			c.flush()
		}, "PROTOCOL_ERROR", "malformed"},
		{"a window of streams that is too large", func(c *h2) {
			_ = c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
			c.flush()
		}, "FLOW_CONTROL_ERROR", "malformed"},
		{"streams whose bodies never come", func(c *h2) {
			c.flood(endless, func() { c.begin(path, greedyToken, "content-length", "1000") })
		}, "ENHANCE_YOUR_CALM", "frame_flood"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			s.attend(t, 32<<20)
			before := s.closes(t, attack.reason)
			c := s.connect(t)
			c.listen()
			attack.attack(c)
			// A client that still sends may lose what was said last to it.
			if end := c.awaitEnd(); end != "GOAWAY "+attack.end && end != "closed" {
				t.Errorf("it ends with %s", end)
			}
			s.awaitMetric(t, `strata_http_connection_closes_total{reason="`+attack.reason+`"}`,
				func(value float64) bool { return value > before })
		})
	}
}
