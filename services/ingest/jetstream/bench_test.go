package jetstream

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"outcry.dev/services/ingest/source"
)

// acceptKey is the answer to a handshake, RFC 6455, section 4.2.2.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// frames are as long and as varied as real ones: replies, links, other scripts, deletes.
func frames() (all []string) {
	texts := []string{"is it just me or does nothing load today", "こんにちは、世界。今日は天気がいいですね", "good morning everybody, coffee first and then the news of the day, as always",
		"é assim mesmo \\\"dizem\\\" eles", "look at this: example.org/a/very/long…", "ok"}
	for n := range 5000 {
		did := fmt.Sprintf("did:plc:%024d", n%900)
		at := 1_772_359_200_000_000 + int64(n)*700
		if n%12 == 0 {
			all = append(all, fmt.Sprintf(`{"did":%q,"time_us":%d,"kind":"commit","commit":{"rev":"3l%011d","operation":"delete","collection":"app.bsky.feed.post","rkey":"3k%011d"}}`, did, at, n, n))
			continue
		}
		more := ""
		if n%3 == 0 {
			more += fmt.Sprintf(`,"reply":{"parent":{"cid":"bafyreib%050d","uri":"at://did:plc:%024d/app.bsky.feed.post/3k%011d"},"root":{"cid":"bafyreib%050d","uri":"at://did:plc:%024d/app.bsky.feed.post/3k%011d"}}`, n, n%77, n, n, n%77, n)
		}
		if n%6 == 4 {
			more += `,"facets":[{"features":[{"$type":"app.bsky.richtext.facet#link","uri":"https://example.org/a/very/long/path"}],"index":{"byteStart":14,"byteEnd":38}}]`
		}
		all = append(all, fmt.Sprintf(`{"did":%q,"time_us":%d,"kind":"commit","commit":{"rev":"3l%011d","operation":"create","collection":"app.bsky.feed.post","rkey":"3k%011d","record":{"$type":"app.bsky.feed.post","createdAt":"2026-03-01T10:00:00.000Z","langs":["en"]%s,"text":"%s %s"},"cid":"bafyreia%050d"}}`,
			did, at, n, n, more, texts[n%len(texts)], strings.Repeat("and so on ", n%9), n))
	}
	return all
}

// BenchmarkDecode is of the whole of what a connection does with a frame, once as it is and once unpacked, beside encoding/json alone.
func BenchmarkDecode(b *testing.B) {
	path, pack := dictionary(b)
	plain := frames()
	packed := make([][]byte, len(plain))
	for i, f := range plain {
		packed[i] = []byte(pack(f))
	}
	dict, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	decoder, err := newDecoder(dict)
	if err != nil {
		b.Fatal(err)
	}
	defer decoder.Close()
	now := time.Unix(1_800_000_000, 0)
	fresh := func() *listening {
		return &listening{source: &Source{zstd: decoder}, in: &source.Session{Emit: func(source.Event) error { return nil }}}
	}
	perSecond := func(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s") }
	b.Run("json alone", func(b *testing.B) {
		for i := range b.N {
			var v any
			if err := json.Unmarshal([]byte(plain[i%len(plain)]), &v); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b)
	})
	b.Run("frames", func(b *testing.B) {
		l := fresh()
		for i := range b.N {
			if err := l.take([]byte(plain[i%len(plain)]), now); err != nil {
				b.Fatal(err)
			}
			if i%len(plain) == 0 {
				l.source.seen = seen{}
			}
		}
		perSecond(b)
	})
	b.Run("zstd frames", func(b *testing.B) {
		l := fresh()
		for i := range b.N {
			if err := l.packed(packed[i%len(packed)], now); err != nil {
				b.Fatal(err)
			}
			if i%len(plain) == 0 {
				l.source.seen = seen{}
			}
		}
		perSecond(b)
	})
}
