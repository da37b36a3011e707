package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/prometheus/client_golang/prometheus"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/catalog"
	"outcry.dev/services/api"
)

// patience bounds every wait for the browser: on a busy machine it may be slow, and what it shows is what counts.
const patience = 90 * time.Second

// chromium is a browser that a test has for itself.
type chromium struct {
	ctx context.Context // of its first tab
}

func startChromium(t *testing.T) chromium {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("the pages are tested in Chromium, which is not here: install it (Debian: apt-get install chromium; ./scripts/test does so where it may)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Env("TZ=UTC"), chromedp.WSURLReadTimeout(patience))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("end the browser: %v", err)
		}
		end()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return chromium{ctx}
}

// tab is a tab of a browser, and what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

// look is how a tab shows pages.
type look struct {
	width   int64
	scheme  string // light or dark
	zone    string
	scripts bool
}

var desktop = look{1280, "light", "UTC", true}

func (c chromium) open(t *testing.T, l look) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(c.ctx)
	t.Cleanup(end)
	b := &tab{t: t, ctx: ctx}
	b.must(chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Text)
		case *log.EventEntryAdded: // such as what the content security policy refuses
			if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "the server responded with a status of 4") {
				b.faults = append(b.faults, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	}))
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, step := range []func() error{
			func() error { _, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{}); return err },
			func() error {
				_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !l.scripts})
				return err
			},
			func() error {
				_, err := cdp.Call(ctx, target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: l.zone})
				return err
			},
			func() error {
				_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}})
				return err
			},
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}), chromedp.EmulateViewport(l.width, 900))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, f := range b.faults {
			t.Error(f)
		}
	})
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	b.must(chromedp.Do(ctx, steps...))
}

func (b *tab) navigate(address string) {
	b.t.Helper()
	if !strings.HasPrefix(address, "http") {
		address = base + address
	}
	b.do(chromedp.Navigate(address))
}

// eval gives what an expression is, as JSON would have it.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { yes := true; p.AwaitPromise = &yes }))
	if err != nil {
		b.t.Fatalf("%s: %v", clipped(expression), err)
	}
	return v
}

func clipped(s string) string { return s[:min(len(s), 200)] }

// wait waits until an expression is true, over navigations.
func (b *tab) wait(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if ok && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			shown, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText.slice(0, 1000)"))
			b.t.Fatalf("never true: %s (%v)\n%s", expression, err, shown)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// keep writes a picture of the page into the folder OUTCRY_SCREENSHOTS, for those who want to look.
func (b *tab) keep(name string) {
	b.t.Helper()
	dir := os.Getenv("OUTCRY_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	b.must(err)
	b.must(os.MkdirAll(dir, 0o755))
	b.must(os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
}

var shownPages = map[string]string{
	"board": "/", "board-outage": "/?at=2010-12-22T17:00:00Z", "service": "/services/skype", "service-parts": "/services/skype?by=symptom&with=viber&" + evening,
	"explore-start": "/explore", "explore": "/explore?service=skype,viber&" + evening, "explore-rate": "/explore?service=skype,viber&measure=rate&" + evening,
	"incident": "/incidents/skype-20101222T1612", "composer": "/services/skype/embed?" + shown, "embed": "/embed/services/skype?" + shown, "not-found": "/nothing",
}

// Nothing serious that axe finds, nothing wider than the screen, no error in the console: light and wide, dark and narrow.
func TestPagesInChromium(t *testing.T) {
	script, err := axe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := startChromium(t)
	for name, l := range map[string]look{"desktop-light": desktop, "phone-dark": {390, "dark", "America/New_York", true}} {
		t.Run(name, func(t *testing.T) {
			b := c.open(t, l)
			for page, path := range shownPages {
				if l.width < 600 && slices.Contains([]string{"board", "service-parts", "explore-start", "explore-rate", "not-found"}, page) {
					continue // the others show what these do
				}
				b.navigate(path)
				b.keep(page + "-" + name)
				if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > int(l.width) {
					t.Errorf("%s is %d pixels wide on a screen of %d", path, wide, l.width)
				}
				eval[chromedp.Void](b, script+"; undefined")
				found := eval[struct {
					Passed     int
					Violations []struct{ ID, Impact, Help, Where string }
				}](b, `axe.run(document, {resultTypes: ["violations"], iframes: false}).then(function (r) {
					return {Passed: r.passes.length, Violations: r.violations.map(function (v) { return {ID: v.id, Impact: v.impact, Help: v.help, Where: v.nodes.slice(0, 3).map(function (n) { return n.html; }).join("\n")}; })}; })`)
				if found.Passed < 10 {
					t.Errorf("%s: axe looked at %d rules only", path, found.Passed)
				}
				for _, v := range found.Violations {
					if v.Impact == "serious" || v.Impact == "critical" {
						t.Errorf("%s (%s): %s, %s: %s\n%s", path, name, v.Impact, v.ID, v.Help, v.Where)
					}
				}
			}
		})
	}
}

// The Tab key comes to everything that can be used, shows where it is, and leaves the page at its end.
func TestPagesByKeyboard(t *testing.T) {
	c := startChromium(t)
	for _, path := range shownPages {
		b := c.open(t, desktop)
		b.navigate(path)
		eval[chromedp.Void](b, `window.reached = new Set(); document.addEventListener("focusin", function (e) { window.reached.add(e.target); }); undefined`)
		unseen := map[string]bool{}
		for range 400 {
			b.do(chromedp.KeyEvent(kb.Tab))
			at := eval[struct {
				Ended bool
				Shows bool
				HTML  string
			}](b, `(function () { var e = document.activeElement, s = getComputedStyle(e); return {Ended: e === document.body, HTML: e.outerHTML.slice(0, 120),
				Shows: e.tagName === "IFRAME" || s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2}; })()`)
			if at.Ended {
				break
			}
			if !at.Shows {
				unseen[at.HTML] = true
			}
		}
		for html := range unseen {
			t.Errorf("%s: one does not see that this has the focus: %s", path, html)
		}
		left := eval[struct {
			Reached int
			Missed  []string
		}](b, `({Reached: window.reached.size, Missed: Array.from(document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")).filter(function (e) {
			return e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.type !== "hidden" && e.tabIndex >= 0 && !window.reached.has(e) && !(e.type === "radio" && !e.checked); }).map(function (e) { return e.outerHTML.slice(0, 120); })})`)
		if left.Reached < 1 || len(left.Missed) > 0 {
			t.Errorf("%s: the Tab key comes to %d things and never to %q (of %d)", path, left.Reached, left.Missed[:min(len(left.Missed), 5)], len(left.Missed))
		}
	}
}

// Everything can be read, and views can be changed, without scripts.
func TestPagesWithoutScripts(t *testing.T) {
	b := startChromium(t).open(t, look{1280, "light", "UTC", false})
	for page, want := range map[string]string{"board-outage": "Skype: outage", "service": "What fails", "explore": "Numbers", "incident": "Confirmed as an outage", "composer": "Preview"} {
		b.navigate(shownPages[page])
		if text := eval[string](b, "document.body.innerText"); !strings.Contains(text, want) {
			t.Errorf("%s without scripts lacks %q", page, want)
		}
		b.keep(page + "-without-scripts")
	}
	b.navigate("/services/skype?" + evening)
	b.do(chromedp.SendKeys(`[name="add"]`, "Viber"), chromedp.SetValue(`[name="measure"]`, "rate"), chromedp.Click(".range button"))
	b.wait(`location.search === "?from=2010-12-22T15:00Z&measure=rate&to=2010-12-22T21:00Z&with=viber" && document.querySelectorAll(".chart-wide .chart-line-2").length > 0`)
	b.do(chromedp.Click(`[data-does="in"]`))
	b.wait(`location.search.indexOf("from=2010-12-22T16:30Z") > 0 && location.search.indexOf("with=viber") > 0`)
}

// Zoom, pan and the address follow pointer and keys.
func TestChartsAnswer(t *testing.T) {
	b := startChromium(t).open(t, look{1280, "light", "Europe/Paris", true})
	b.navigate("/services/skype?" + evening)
	b.wait(`document.querySelector("time small") && /GMT\+1|CET/.test(document.querySelector("time").textContent) && /UTC/.test(document.querySelector("time small").textContent)`)
	eval[chromedp.Void](b, `document.querySelector(".figure").scrollIntoView({block: "center"}); undefined`)
	box := eval[struct{ Left, Top, Width, Height float64 }](b, `(function () { var s = document.querySelector(".chart-wide svg"), r = s.getBoundingClientRect(), p = s.dataset.plot.split(" ").map(Number), k = r.width / s.viewBox.baseVal.width;
		return {Left: r.left + p[0] * k, Top: r.top + p[1] * k, Width: (p[2] - p[0]) * k, Height: (p[3] - p[1]) * k}; })()`)
	x := func(share float64) float64 { return box.Left + share*box.Width }
	y := box.Top + box.Height/2

	// A quarter of six hours after 15:00 it is 16:30.
	b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x(0.252), y))
	b.wait(`document.querySelector(".readout") && !document.querySelector(".readout").hidden && /22 Dec.* 16:3.* UTC/.test(document.querySelector(".readout").textContent) && /people/.test(document.querySelector(".readout").textContent)`)

	b.do(chromedp.DragAndDropXY(x(0.25), y, x(0.5), y, 5))
	b.wait(`/from=2010-12-22T16:(2|3)\d/.test(decodeURIComponent(location.search)) && /to=2010-12-22T18:(0|1)\d/.test(decodeURIComponent(location.search)) && !document.querySelector("[aria-busy]") && document.activeElement.className === "figure"`)
	zoomed := eval[string](b, "location.search")
	b.do(chromedp.KeyEvent("-"))
	b.wait(`location.search !== ` + quoted(zoomed) + ` && +document.querySelector(".chart-wide svg").dataset.to - document.querySelector(".chart-wide svg").dataset.from > 9000 && document.activeElement.className === "figure"`)
	wider := eval[string](b, "location.search")
	from := eval[int](b, `+document.querySelector(".chart-wide svg").dataset.from`)
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	b.wait(fmt.Sprintf(`+document.querySelector(".chart-wide svg").dataset.from < %d`, from))
	b.do(chromedp.NavigateBack())
	b.wait(`location.search === ` + quoted(wider) + fmt.Sprintf(` && +document.querySelector(".chart-wide svg").dataset.from === %d`, from))

	// Another service joins, found while its name is typed.
	b.do(chromedp.SendKeys(`[data-suggest]`, "vibe"))
	b.wait(`document.querySelector('#names option[value="Viber"]')`)
	b.do(chromedp.SendKeys(`[data-suggest]`, "r"), chromedp.Click(".range button"))
	b.wait(`/with=viber/.test(location.search) && document.querySelectorAll(".chart-wide .chart-line-2").length > 0 && /Viber: /.test(document.querySelector("[data-said]").textContent)`)
	b.do(chromedp.Click(".chosen .remove"))
	b.wait(`!/with=viber/.test(location.search) && document.querySelector(".chart-band")`)
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

var databases atomic.Int64

// acted is an api of its own, whose words go into said.
func acted(t *testing.T, database string) (address, key string, said chan *outcryv1.Verdict, more func()) {
	t.Helper()
	s, err := open(t.Context(), fmt.Sprint(database, databases.Add(1))) // what is done in it stays
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k, secret, err := api.NewKey("ann", []string{"act"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{fill(t.Context(), s), s.PutKey(t.Context(), k, time.Now())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	said = make(chan *outcryv1.Verdict, 10)
	registry := prometheus.NewRegistry()
	a := api.New(api.Config{Listen: "127.0.0.1:0", PublicRead: true}, api.Deps{Store: s, Catalog: catalog.Default(), Registry: registry, Gatherer: registry, Log: quiet,
		Say: func(_ context.Context, v *outcryv1.Verdict) error { said <- v; return nil }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	addr, err := a.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + addr, secret, said, func() {
		if err := fillMore(context.WithoutCancel(t.Context()), s); err != nil {
			t.Error(err)
		}
	}
}

// What people do on the pages: the board moves by itself, an incident is dismissed, a chart is composed, frozen and framed elsewhere.
func TestDoingThings(t *testing.T) {
	address, key, said, more := acted(t, "browser")
	c := startChromium(t)

	t.Run("board", func(t *testing.T) {
		b := c.open(t, desktop)
		b.navigate(address + "/")
		b.wait(`document.getElementById("live").textContent === "Live." && document.querySelector('[data-service="viber"] .state').textContent === "suspected"`)
		more()
		b.wait(`document.querySelector('[data-service="viber"] .state').textContent === "outage" && document.querySelector("h1").textContent === "Viber: outage"`)
	})

	t.Run("incident", func(t *testing.T) {
		b := c.open(t, desktop)
		b.navigate(address + "/incidents/skype-20101222T1612")
		b.do(chromedp.Click(".say summary"), chromedp.SendKeys(`.say [name="text"]`, "a football match"), chromedp.SendKeys(`.say [name="key"]`, key), chromedp.Click(`.say [value="dismiss"]`))
		b.wait(`/Taken: dismiss/.test(document.body.innerText)`)
		select {
		case v := <-said:
			if v.GetKind() != outcryv1.Verdict_KIND_DISMISS || v.GetText() != "a football match" || !strings.HasPrefix(v.GetWho(), "ann ") {
				t.Errorf("said: %v", v)
			}
		default:
			t.Error("nothing was handed on")
		}
	})

	t.Run("embed", func(t *testing.T) {
		b := c.open(t, desktop)
		b.navigate(address + "/services/skype/embed?" + shown)
		b.do(chromedp.SendKeys(`[name="title"]`, "The evening"), chromedp.SetValue(`[name="note_at"]`, "2010-12-22T18:00"), chromedp.SendKeys(`[name="note_text"]`, "kickoff"))
		b.wait(`/title=The\+evening/.test(document.querySelector(".preview").src) && /kickoff/.test(document.querySelector('[data-code="script"]').value) && document.querySelectorAll(".notes p").length === 2`)
		b.wait(`parseInt(document.querySelector(".preview").style.height) > 300`)
		b.do(chromedp.Click(`[data-code="script"] + .copy`))
		b.wait(`document.querySelector('[data-code="script"] + .copy').textContent === "Copied"`)
		b.keep("composer-filled")
		b.do(chromedp.SendKeys(`.freeze [name="key"]`, key), chromedp.Click(".freeze button"))
		b.wait(`/frozen since/.test(document.body.innerText) && /embed\/frozen\//.test(document.querySelector('[data-code="script"]').value)`)
		code := eval[string](b, `document.querySelector('[data-code="script"]').value`)

		article := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, "<!doctype html><html lang=en><title>An article</title><p>So it was:</p>%s<p>And then:</p></html>", code)
		}))
		defer article.Close()
		b.navigate(article.URL)
		b.wait(`document.querySelector("iframe") && +document.querySelector("iframe").height !== 460 && +document.querySelector("iframe").height > 300`)
		b.keep("article")
		b.do(chromedp.Navigate("about:blank")) // so that no connection keeps the article's server
	})
}

// What a page needs to be seen first comes to less than 150 KB, and to less than 40 KB as it is sent.
func TestThePagesAreLight(t *testing.T) {
	const ten = "/explore?service=skype,viber,gmail,github,facebook,twitter,youtube,google,whatsapp,slack&from=2010-12-22&to=2010-12-23"
	sent := func(path string) int {
		req, _ := http.NewRequest(http.MethodGet, base+path, nil)
		req.Header.Set("Accept-Encoding", "gzip") // asked for by hand, the answer is not unpacked
		return len(do(t, req).body)
	}
	for _, path := range []string{"/", "/services/skype", "/explore?service=skype,viber&" + evening, ten, ten + "&measure=rate", ten + "&step=1m", "/incidents/skype-20101222T1612"} {
		page := get(t, path)
		total, packed := len(page.body), sent(path)
		for _, part := range strings.Split(page.body, `"`) {
			if strings.HasPrefix(part, "/assets/") {
				total += len(get(t, part).body)
				packed += sent(part)
			}
		}
		if total > 150_000 || packed > 40_000 || packed < 4_000 {
			t.Errorf("%s and what it loads have %d bytes, %d as sent", path, total, packed)
		}
	}
}

// A form that another site sends is refused, and so is one without a key that may.
func TestFormsOfPagesAreGuarded(t *testing.T) {
	address, key, said, _ := acted(t, "guarded")
	for _, test := range []struct {
		path, body, site string
		status           int
	}{
		{"/incidents/skype-20101222T1612", "kind=acknowledge&key=" + key, "same-origin", 303},
		{"/incidents/skype-20101222T1612", "kind=acknowledge&key=" + key, "cross-site", 403},
		{"/incidents/skype-20101222T1612", "kind=acknowledge", "same-origin", 403},
		{"/incidents/skype-20101222T1612", "kind=acknowledge&key=outcry_wrong", "same-origin", 401},
		{"/incidents/skype-20101222T1612", "kind=explode&key=" + key, "same-origin", 400},
		{"/incidents/none", "kind=acknowledge&key=" + key, "same-origin", 404},
		{"/incidents/skype-20101222T1612", "kind=note&text=" + strings.Repeat("x", 10_000) + "&key=" + key, "same-origin", 400},
		{"/services/skype/embed", "query=" + strings.ReplaceAll(shown, "&", "%26") + "&key=" + key, "same-origin", 303},
		{"/services/skype/embed", "query=width%3D9&key=" + key, "same-origin", 400},
		{"/services/skype/embed", "query=" + strings.ReplaceAll(shown, "&", "%26"), "same-origin", 403},
	} {
		req, err := http.NewRequest(http.MethodPost, address+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", test.site)
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && test.status != 303 {
			t.Errorf("%s %s from %s: %s, want %d", test.path, clipped(test.body), test.site, resp.Status, test.status)
		}
		client.CloseIdleConnections()
	}
	http.DefaultClient.CloseIdleConnections()
	if len(said) != 1 {
		t.Errorf("%d words were handed on, want 1", len(said))
	}
}
